"""The callbacks of a run: what each does after which call."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hpcgan.config import Config, DataConfig, TrainConfig
from hpcgan.config_beside import CheckpointConfig, LogConfig
from hpcgan.errors import Stopped
from hpcgan.parallel.timer import CollectiveTimer
from hpcgan.training.breakdown import StepBreakdown
from hpcgan.training.callback import Call, Callback
from hpcgan.training.callbacks import Checkpointing, Logging, StopOnRequest
from hpcgan.training.timer import Timer
from hpcgan.world import World
from tests.unmeasured import NOT_MEASURED

LAST = 10
PLAN: Any = SimpleNamespace(
    config=Config(
        data=DataConfig(files=[]),
        train=TrainConfig(steps=LAST),
        checkpoint=CheckpointConfig(every_steps=4),
        log=LogConfig(every_steps=2, samples_every_steps=3),
    )
)


class Noted:
    """An object of any methods, which notes their calls and arguments."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *words: self.calls.append((name, *words))

    def take(self) -> list[tuple[Any, ...]]:
        """Return the calls since the last time."""
        taken, self.calls = self.calls, []
        return taken


class Manager(Noted):
    """A checkpoint manager that wants to save what is due and the best."""

    def wanted(self, due: bool, is_best: bool) -> list[Path]:
        """Return what is to be saved."""
        return [Path("due.h5")] * due + [Path("best.h5")] * is_best


NOTHING: Any = SimpleNamespace(is_needed=False)  # to share


def call(first: int, last: int, stops: bool = False) -> Call:
    steps = last - first
    return Call(first, steps, np.zeros((steps, 2)), np.zeros(steps, bool), stops, NOT_MEASURED)


@pytest.fixture
def timer() -> Timer:
    return Timer(CollectiveTimer())


def test_a_callback_does_nothing_by_itself() -> None:
    callback = Callback()
    callback.before_call(0)
    callback.after_call(call(0, 1))
    assert callback.periods == ()


def test_each_call_is_counted_and_lines_and_grids_are_written_when_they_are_due(
    world: World, timer: Timer
) -> None:
    logger: Any = Noted()
    logging = Logging(world, PLAN, timer, logger)
    assert logging.periods == (2, 3)
    written = {}
    for first, last in [(0, 1), (1, 2), (2, 3), (3, 4), (4, 6), (6, 7), (7, LAST)]:
        made = call(first, last)
        logging.after_call(made)
        # What can end the run comes first, and a line has the losses of its own call.
        (checked, counted, *rest) = logger.take()
        assert (checked, counted) == (("check_place",), ("count", made))
        written[last] = [name for name, *_ in rest]
    both = ["log", "write_samples"]
    assert written == {
        1: [],
        2: ["log"],
        3: ["write_samples"],
        4: ["log"],
        6: both,
        7: [],
        LAST: both,
    }
    assert list(timer.seconds) == ["journal"]


def test_a_line_has_the_breakdown_of_the_time_before_it(world: World, timer: Timer) -> None:
    now = iter([0.0, 2.0, 4.0])  # seconds: each line can have one
    logger: Any = Noted()
    logging = Logging(world, PLAN, timer, logger, lambda: next(now))
    timer.seconds["input"] = 3.0
    logging.after_call(call(0, 2))
    timer.seconds["input"] = 5.0
    logging.after_call(call(2, 4))
    found = [words[0] for name, *words in logger.take() if name == "log"]
    assert [type(each) for each in found] == [StepBreakdown] * 2
    assert [each.input_wait_seconds for each in found] == [3.0, 5.0]


def test_a_rank_without_a_log_takes_part_in_the_breakdown(world: World, timer: Timer) -> None:
    logging = Logging(world, PLAN, timer, None)
    timer.seconds["input"] = 1.0
    logging.after_call(call(0, 1))
    assert timer.seconds == {"input": 1.0}
    logging.after_call(call(1, 2))
    assert timer.seconds == {}  # all have gathered it: it begins at 0 again


def test_checkpoints_are_made_when_they_are_due_and_before_the_run_stops(
    world: World, timer: Timer
) -> None:
    manager: Any = Manager()
    best = iter([True, False, False, True, False])
    checkpointing = Checkpointing(world, PLAN, timer, manager, NOTHING, lambda: next(best))
    assert checkpointing.periods == (4,)
    for first, last in [(0, 3), (3, 4), (4, 7), (7, LAST)]:
        checkpointing.after_call(call(first, last))
    assert manager.take() == [
        ("save", [Path("best.h5")]),
        ("save", [Path("due.h5")]),
        ("save", [Path("due.h5"), Path("best.h5")]),
    ]
    checkpointing.after_call(call(0, 3, stops=True))
    assert manager.take() == [("save_now",)]
    assert list(timer.seconds) == ["checkpoint"]


def test_the_whole_state_is_shared_before_it_is_written_and_at_no_other_time(
    world: World, timer: Timer
) -> None:
    manager: Any = Manager()
    sharing: Any = SimpleNamespace(is_needed=True, share=lambda: manager.calls.append(("shared",)))
    checkpointing = Checkpointing(world, PLAN, timer, manager, sharing)
    checkpointing.after_call(call(0, 3))
    assert manager.take() == []
    checkpointing.after_call(call(3, 4))
    assert manager.take() == [("shared",), ("save", [Path("due.h5")])]
    checkpointing.after_call(call(4, 5, stops=True))
    assert manager.take() == [("shared",), ("save_now",)]


def test_a_rank_without_checkpoints_makes_none(world: World, timer: Timer) -> None:
    Checkpointing(world, PLAN, timer, None, NOTHING).after_call(call(0, 4))
    assert list(timer.seconds) == ["checkpoint"]


class Asked:
    """A request of a rank."""

    def __init__(self, reason: str = "") -> None:
        self.reason = reason

    def is_made(self) -> bool:
        return bool(self.reason)


def test_all_ranks_learn_of_a_request_before_the_next_call(world: World) -> None:
    strategy: Any = Noted()
    request: Any = Asked()
    callback = StopOnRequest(world, PLAN, strategy, request, lambda why: None)
    callback.before_call(0)
    assert strategy.take() == []
    request.reason = "SIGTERM"
    callback.before_call(1)
    assert strategy.take() == [("request_stop",)]


def test_a_run_ends_after_the_call_in_which_a_rank_asked_for_it(world: World) -> None:
    finished: list[str] = []
    request: Any = Asked("SIGTERM")
    callback = StopOnRequest(world, PLAN, Noted(), request, finished.append)  # type: ignore[arg-type]
    callback.after_call(call(0, 3))  # the others do not know of it yet
    assert finished == []
    with pytest.raises(Stopped, match=r"^stopped after step 6 by SIGTERM \(rank 0\); ") as caught:
        callback.after_call(call(3, 6, stops=True))
    assert caught.value.on_all_ranks
    assert finished == ["SIGTERM (rank 0)"]


def test_the_ranks_that_asked_are_named() -> None:
    world: Any = SimpleNamespace(gather_json=lambda own: ["", "SIGUSR1", own])
    request: Any = Asked("its time limit of 1 minute")
    callback = StopOnRequest(world, PLAN, Noted(), request, lambda why: None)  # type: ignore[arg-type]
    named = r"by SIGUSR1 \(rank 1\), its time limit of 1 minute \(rank 2\);"
    with pytest.raises(Stopped, match=named):
        callback.after_call(call(0, 1, stops=True))


def test_a_run_that_has_made_its_last_step_has_ended_and_was_not_stopped(world: World) -> None:
    finished: list[str] = []
    request: Any = Asked("SIGTERM")
    callback = StopOnRequest(world, PLAN, Noted(), request, finished.append)  # type: ignore[arg-type]
    callback.after_call(call(7, LAST, stops=True))
    assert finished == []
