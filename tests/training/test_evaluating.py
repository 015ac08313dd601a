"""When a run is evaluated, which evaluation is its best, and what is done about what they show."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from hpcgan.config import Config, DataConfig, TrainConfig
from hpcgan.config_beside import CheckpointConfig, EvaluateConfig, LogConfig, WatchConfig
from hpcgan.errors import RunError
from hpcgan.evaluation.watchdog import Signal
from hpcgan.training.callback import Call
from hpcgan.training.calls import evaluations_period
from hpcgan.training.evaluating import Evaluating, Watching, is_wanted
from hpcgan.training.nonfinite import RollbackRequired
from hpcgan.training.timer import Timer
from hpcgan.world import World
from tests.unmeasured import NOT_MEASURED

LAST = 100


class Clock:
    """Seconds that pass when somebody says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


CLOCK = Clock()


class FakeEvaluator:
    """Takes a second to look at the data and two for each evaluation, of given distances."""

    distances: ClassVar[list[float]] = []
    coverages: ClassVar[list[float]] = []

    def __init__(self, *given: Any) -> None:
        self.features, self.floors = "pca8", {"frechet": 1.0}
        CLOCK.now += 1

    def evaluate(self) -> dict[str, float]:
        CLOCK.now += 2
        coverage = self.coverages.pop(0) if self.coverages else 0.5
        return {"frechet": self.distances.pop(0), "coverage": coverage}


@pytest.fixture(autouse=True)
def _faked(monkeypatch: pytest.MonkeyPatch) -> None:
    CLOCK.now = 0.0
    monkeypatch.setattr("hpcgan.training.evaluating.Evaluator", FakeEvaluator)


SHARING: Any = SimpleNamespace(share=lambda: None)


def planned(place: Path, **evaluate: Any) -> Any:
    config = Config(
        data=DataConfig(files=[]),
        train=TrainConfig(steps=LAST),
        checkpoint=CheckpointConfig(every_steps=10),
        evaluate=EvaluateConfig(**evaluate),
    )
    return SimpleNamespace(config=config, run_dir=place, source=range(100))


def made(world: World, plan: Any, *distances: float, state: Any = None) -> Evaluating:
    """Return the callback before its first call, with the distances that it will find."""
    FakeEvaluator.distances = list(distances)
    state = state or SimpleNamespace(step=0)
    evaluating = Evaluating(world, plan, state, Timer(), None, SHARING, CLOCK)
    evaluating.before_call(state.step)
    return evaluating


def call(last: int, stops: bool = False) -> Call:
    return Call(last - 5, 5, np.zeros((5, 2)), np.zeros(5, bool), stops, NOT_MEASURED)


def test_with_a_number_of_steps_every_evaluation_is_made(world: World, tmp_path: Path) -> None:
    evaluating = made(world, planned(tmp_path, every_steps=20), 9, 5, 6, 4)
    assert evaluating.periods == (20,)
    found = {}
    for step in (10, 20, 30, 40, 60):
        evaluating.after_call(call(step))
        found[step] = (evaluating.is_new, evaluating.is_best)
    assert found == {
        10: (False, False),
        20: (True, True),  # what is not trained is no best
        30: (False, False),
        40: (True, False),
        60: (True, True),
    }
    assert [each.step for each in evaluating.evaluations] == [0, 20, 40, 60]


def test_auto_keeps_to_its_budget_with_the_data_and_the_start(world: World, tmp_path: Path) -> None:
    """3 s are spent at the start; one more of 2 s is 2% of 250 s, and the next of 350 s."""
    evaluating = made(world, planned(tmp_path), 9, 5, 6)
    assert evaluating.periods == (10,)
    for now, step in ((249.9, 10), (250.0, 20), (349.9, 30), (350.0, 40)):
        CLOCK.now = now
        evaluating.after_call(call(step))
        assert evaluating.is_new == (step in (20, 40))


def test_a_run_that_is_to_stop_has_no_time_for_it(world: World, tmp_path: Path) -> None:
    evaluating = made(world, planned(tmp_path, every_steps=10), 9)
    evaluating.after_call(call(10, stops=True))
    assert not evaluating.is_new


def test_the_best_may_be_the_largest(world: World, tmp_path: Path) -> None:
    plan = planned(tmp_path, every_steps=10, best="coverage")
    FakeEvaluator.coverages = [0.9, 0.2, 0.1, 0.3]
    evaluating = made(world, plan, 1, 1, 1, 1)
    for step, is_best in ((10, True), (20, False), (30, True)):
        evaluating.after_call(call(step))
        assert evaluating.is_best == is_best


def test_a_run_that_goes_on_remembers_its_evaluations(world: World, tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_text(
        '{"event": "started", "step": 0}\n'
        '{"event": "floors", "step": 0, "evaluation": {"frechet_pca8": 1.0}}\n'
        '{"event": "evaluated", "step": 0, "evaluation": {"frechet_pca8": 9.0}}\n'
    )
    (tmp_path / "metrics.jsonl").write_text(
        '{"step": 10, "evaluation": {"frechet_pca8": 5.0, "auc_real_fake": 0.8}}\n'
        '{"step": 15}\n'
        '{"step": 18, "evaluation": {"frechet_pca9": 1.0, "auc_real_fake": 0.7}}\n'
        '{"step": 20, "evaluation": {"frechet_pca8": 4.0, "auc_real_fake": 0.7}}\n'
        '{"step": 30, "eval'
    )
    state = SimpleNamespace(step=20)
    evaluating = made(world, planned(tmp_path, every_steps=10), 4.5, state=state)
    assert evaluating.evaluations == [
        (0, {"frechet": 9.0}),
        (10, {"frechet": 5.0, "auc_real_fake": 0.8}),
        (20, {"frechet": 4.0, "auc_real_fake": 0.7}),
    ]
    evaluating.after_call(call(30))
    assert not evaluating.is_best
    state.step = 10
    evaluating.rewind()
    assert [each.step for each in evaluating.evaluations] == [0, 10]


def test_evaluations_come_with_the_checkpoints_or_where_these_follow_a_clock_with_lines() -> None:
    def period(every: Any, steps: int | None) -> int | None:
        return evaluations_period(
            Config(
                data=DataConfig(files=[]),
                checkpoint=CheckpointConfig(every_steps=steps),
                evaluate=EvaluateConfig(every_steps=every),
                log=LogConfig(every_steps=30),
            )
        )

    assert period("auto", 70) == 70
    assert period("auto", None) == 300
    assert period(40, 70) == 40
    assert period(None, 70) is None


def test_a_run_is_not_evaluated_if_it_is_not_to_be_or_has_too_few_samples(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    assert is_wanted(plan)
    assert not is_wanted(planned(tmp_path, every_steps=None))
    plan.source = range(24)
    assert is_wanted(plan)
    plan.source = range(23)
    assert not is_wanted(plan)


class Watched:
    """A run that is evaluated after each call, with the signals that it then gives."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, action: str | None) -> None:
        self.done: list[str] = []
        self.kinds: list[str | None] = []
        monkeypatch.setattr("hpcgan.training.evaluating.signal", self._signal)
        config = Config(data=DataConfig(files=[]), watch=WatchConfig(collapse=action))  # type: ignore
        plan: Any = SimpleNamespace(config=config)
        self.evaluating: Any = SimpleNamespace(is_new=True, evaluations=[], floors={})
        logger: Any = SimpleNamespace(warn=self.done.append)
        save = lambda: self.done.append("saved")  # noqa: E731
        self.watching = Watching(plan, self.evaluating, logger, save)

    def _signal(self, *given: Any) -> Signal | None:
        kind = self.kinds.pop(0)
        return Signal(kind, "so") if kind else None

    def see(self, *kinds: str | None) -> list[str]:
        """Return what is done when evaluations show this."""
        self.kinds = list(kinds)
        for number in range(len(kinds)):
            self.watching.after_call(call(10 * (number + 1)))
        return self.done


def test_what_shows_is_told_once_as_long_as_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, "warn")
    assert watched.see(None, "D won", "D won", "it collapsed", None, "it collapsed") == [
        "after step 20 D won: so",
        "after step 40 it collapsed: so",
        "after step 60 it collapsed: so",
    ]


def test_a_rollback_goes_to_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, "rollback")
    with pytest.raises(RollbackRequired, match="after step 20 it collapsed: so") as caught:
        watched.see(None, "it collapsed")
    assert caught.value.to_best
    # Gone back, it is looked at anew.
    watched.watching.reset()
    with pytest.raises(RollbackRequired):
        watched.see("it collapsed")


def test_a_run_that_stops_writes_a_checkpoint_first(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, "stop")
    with pytest.raises(RunError, match="it collapsed: so") as caught:
        watched.see("it collapsed")
    assert caught.value.status == 1
    assert watched.done == ["saved"]


def test_nothing_is_done_without_an_action_or_a_new_evaluation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Watched(monkeypatch, None).see("it collapsed") == []
    watched = Watched(monkeypatch, "warn")
    watched.evaluating.is_new = False
    assert watched.see("it collapsed") == []
