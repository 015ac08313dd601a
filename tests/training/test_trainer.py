"""The trainer: which calls it makes, of which samples, and what its callbacks are given."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
import tensorflow as tf

from hpcgan.data.placement import opened_shards
from hpcgan.errors import DataError, RunError
from hpcgan.parallel import Report
from hpcgan.training.callback import Call, Callback
from hpcgan.training.plan import Plan, prepare
from hpcgan.training.timer import Timer
from hpcgan.training.trainer import Trainer
from hpcgan.world import World

SHARDS, PER_STEP = 2, 3
Make = Callable[..., "Trained"]


class Shard:
    """A shard whose samples are all number * 100 and their place in its stream, modulo 100."""

    def __init__(self, number: int, readable: float = float("inf")) -> None:
        self.number = number
        self.readable = readable  # samples; those that follow are gone

    def take(self, start: int, out: np.ndarray) -> None:
        """Fill ``out`` with the samples from ``start``."""
        if start + len(out) > self.readable:
            raise DataError("part.h5: it cannot be read")
        places = (start + np.arange(len(out))) % 100
        out[:] = (100 * self.number + places).reshape(-1, 1, 1, 1)


class Strategy:
    """A strategy that trains nothing: its losses are the step's number, and less than 0 for G."""

    description = ""
    period: int | None = None

    def __init__(self, stops: Sequence[int] = (), skipped: Sequence[int] = ()) -> None:
        self.stops, self.skipped = stops, skipped
        self.samples: list[np.ndarray] = []  # of each step
        self.labels: list[np.ndarray] = []
        self.between: list[int] = []  # steps after which it was asked for what is due

    def between_calls(self, step: int) -> None:
        """Note it."""
        self.between.append(step)

    def holders(self, group: str) -> Sequence[int]:
        """Return the only rank."""
        return range(1)

    def run(self, samples: tf.Tensor, first_step: tf.Tensor, labels: Any = None) -> Report:
        """Note what is given."""
        assert first_step.dtype == tf.int64
        self.samples += list(samples.numpy())
        self.labels += [] if labels is None else list(labels.numpy())
        steps = int(first_step) + np.arange(samples.shape[0])
        stop, skipped = (
            tf.constant(np.isin(steps, marked), tf.float32) for marked in (self.stops, self.skipped)
        )
        losses = tf.constant(np.stack([steps, -steps], 1), tf.float32)
        return Report(losses, stop, skipped, tf.zeros((len(steps), 2, 2)))


class Noting(Callback):
    """A callback that notes what it is called for."""

    def __init__(self, name: str, log: list[Any], *periods: int | None) -> None:
        self.name, self.log, self.periods = name, log, periods

    def before_call(self, first: int) -> None:
        """Note it."""
        self.log.append((self.name, "before", first))

    def after_call(self, call: Call) -> None:
        """Note it."""
        self.log.append((self.name, "after", call.last))


class Trained:
    """A trainer, what it is made of, and the calls that it has made."""

    def __init__(
        self,
        world: World,
        plan: Plan,
        strategy: Strategy,
        callbacks: Sequence[Callback] = (),
        shards: Any = None,
    ) -> None:
        self.calls: list[Call] = []
        self.strategy = strategy
        self.state: Any = SimpleNamespace(step=0, discarded=0)
        noting = Callback()
        noting.after_call = self.note  # type: ignore[method-assign]
        self.timer = Timer()
        shards = shards or {number: Shard(number) for number in range(SHARDS)}
        self.trainer = Trainer(
            world, plan, self.state, strategy, shards, self.timer, [noting, *callbacks]
        )

    def note(self, call: Call) -> None:
        """Note a call; the state has its steps by then."""
        assert self.state.step == call.last
        self.calls.append(call)

    @property
    def ends(self) -> list[tuple[int, int]]:
        """The (first, last) step of each call."""
        return [(call.first, call.last) for call in self.calls]

    def places(self, shard: int) -> list[int]:
        """Return the places in its stream of the samples that a shard has given."""
        return [int(p) for step in self.strategy.samples for p in step[shard, :, 0, 0, 0] % 100]


@pytest.fixture
def plan(world: World, data_file: Path, tmp_path: Path) -> Plan:
    config = tmp_path / "run.yaml"
    config.write_text(
        f"data: {{files: [{data_file}], shards: {SHARDS}}}\ntrain: {{batch_size: {PER_STEP}}}\n"
    )
    return prepare(world, str(config), [], tmp_path / "run", "never")


@pytest.fixture
def make(world: World, plan: Plan) -> Make:
    """Return a function that makes a ``Trained``."""

    def make(strategy: Strategy | None = None, *callbacks: Callback) -> Trained:
        return Trained(world, plan, strategy or Strategy(), callbacks)

    return make


def test_every_step_has_the_next_samples_of_each_shard(make: Make) -> None:
    trained = make()
    trained.trainer.fit(8, most=3)
    assert trained.ends == [(0, 3), (3, 6), (6, 8)]
    assert trained.state.step == 8
    for shard in range(SHARDS):
        assert trained.places(shard) == list(range(8 * PER_STEP))
        assert {int(s[shard].min()) // 100 for s in trained.strategy.samples} == {shard}
    assert {each.shape for each in trained.strategy.samples} == {(SHARDS, PER_STEP, 8, 8, 1)}


def test_a_call_has_the_losses_and_notes_of_its_steps(make: Make) -> None:
    trained = make(Strategy(stops=[5], skipped=[1, 6]))
    trained.trainer.fit(8, most=3)
    first, second, third = trained.calls
    assert [call.steps for call in trained.calls] == [3, 3, 2]
    np.testing.assert_array_equal(second.losses, [[3, -3], [4, -4], [5, -5]])
    assert [call.skipped.tolist() for call in trained.calls] == [
        [False, True, False],
        [False] * 3,
        [True, False],
    ]
    assert {call.skipped.dtype for call in trained.calls} == {np.dtype(bool)}
    assert [call.stops for call in (first, second, third)] == [False, True, False]


def test_callbacks_enclose_each_call_the_first_closest_to_it(make: Make, world: World) -> None:
    log: list[Any] = []
    trained = make(None, *(Noting(name, log) for name in ("one", "two")))
    trained.trainer.fit(3, most=2)
    assert log == [
        ("two", "before", 0),
        ("one", "before", 0),
        ("one", "after", 2),
        ("two", "after", 2),
        ("two", "before", 2),
        ("one", "before", 2),
        ("one", "after", 3),
        ("two", "after", 3),
    ]
    assert world.progress == "after step 3"


def test_a_call_ends_at_the_periods_of_every_callback(make: Make) -> None:
    trained = make(None, Noting("one", [], 4, None), Noting("two", [], 6))
    trained.trainer.fit(13, most=5)
    assert [last for _, last in trained.ends] == [4, 6, 8, 12, 13]


def test_a_call_ends_at_the_strategys_period_and_it_is_asked_before_the_callbacks(
    make: Make,
) -> None:
    log: list[Any] = []
    strategy = Strategy()
    strategy.period, strategy.between = 5, log
    make(strategy, Noting("one", log)).trainer.fit(7, most=4)
    assert log == [
        *(("one", "before", 0), 4, ("one", "after", 4)),
        *(("one", "before", 4), 5, ("one", "after", 5)),
        *(("one", "before", 5), 7, ("one", "after", 7)),
    ]


def test_what_is_fitted_twice_goes_on(make: Make) -> None:
    trained = make()
    trained.trainer.fit(4, most=3)
    trained.trainer.fit(9, most=4)
    assert trained.ends == [(0, 3), (3, 4), (4, 8), (8, 9)]
    assert trained.places(1) == list(range(9 * PER_STEP))


@pytest.mark.parametrize("most", [None, 2])
def test_there_is_nothing_to_do_after_the_last_step(make: Make, most: int | None) -> None:
    trained = make()
    trained.state.step = 5
    trained.trainer.fit(5, most)
    assert trained.calls == []


def test_steps_per_call_follow_the_time_of_the_second_call(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a step that takes 1/16 s half a second has eight; the first is compiled for 20 s."""
    trained, seconds = make(), iter([20.0, 0.0625])
    now = [0.0]
    run = trained.strategy.run

    def timed(*words: Any) -> Report:
        now[0] += next(seconds, 1000.0)
        return run(*words)

    monkeypatch.setattr("hpcgan.training.trainer.time", SimpleNamespace(monotonic=lambda: now[0]))
    trained.strategy.run = timed  # type: ignore[method-assign]
    trained.trainer.fit(20)
    assert trained.ends == [(0, 1), (1, 2), (2, 10), (10, 18), (18, 20)]
    assert trained.places(0) == list(range(20 * PER_STEP))


def test_a_run_of_one_step_needs_no_second_call(make: Make) -> None:
    trained = make()
    trained.trainer.fit(1)
    assert trained.ends == [(0, 1)]


def test_samples_of_updates_that_were_lost_are_passed_by(make: Make) -> None:
    trained = make()
    trained.state.step, trained.state.discarded = 4, 7
    trained.trainer.fit(6, most=1)
    assert trained.ends == [(4, 5), (5, 6)]
    assert trained.places(0) == list(range(11 * PER_STEP, 13 * PER_STEP))


class GoBack(Exception):
    """A callback wants the run to go back."""


def test_a_run_that_goes_back_takes_the_samples_that_it_has_not_used(make: Make) -> None:
    class GoesBack(Callback):
        def after_call(self, call: Call) -> None:
            if call.last == 6 and not trained.state.discarded:
                raise GoBack

    trained = make(None, GoesBack())
    with pytest.raises(GoBack):
        trained.trainer.fit(20, most=2)
    assert trained.state.step == 6
    trained.state.step, trained.state.discarded = 2, 4
    trained.trainer.fit(8, most=2)
    assert trained.ends == [(0, 2), (2, 4), (4, 6), (2, 4), (4, 6), (6, 8)]
    assert trained.places(0) == list(range(12 * PER_STEP))


def test_files_that_cannot_be_read_any_more_end_the_run_after_the_steps_before(
    world: World, plan: Plan
) -> None:
    shards = {number: Shard(number, readable=7 * PER_STEP) for number in range(SHARDS)}
    trained = Trained(world, plan, Strategy(), shards=shards)
    with pytest.raises(RunError) as caught:
        trained.trainer.fit(20, most=3)
    assert trained.ends == [(0, 3), (3, 6)]
    assert str(caught.value) == (
        "after step 6: part.h5: it cannot be read; mend it, and the same command goes on from the "
        "newest checkpoint"
    )
    assert not caught.value.on_all_ranks


def test_networks_that_take_labels_get_those_of_their_samples(world: World, tmp_path: Path) -> None:
    """A sample's pixels are its number, and its label is the number modulo 3."""
    numbers = np.arange(40)
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["images"] = np.broadcast_to(numbers.reshape(-1, 1, 1, 1), (40, 8, 8, 1)).astype("u1")
        file["labels"] = numbers % 3
    config = tmp_path / "run.yaml"
    config.write_text(
        f"data: {{files: [{tmp_path / 'data.h5'}], labels: labels, shards: {SHARDS}}}\n"
        f"model: {{name: dcgan, condition: projection}}\ntrain: {{batch_size: {PER_STEP}}}\n"
    )
    plan = prepare(world, str(config), [], tmp_path / "run", "never")
    with opened_shards(world, plan.config, plan.source, plan.assignment) as of_seed:
        shards = of_seed(plan.config.seed)
        trained = Trained(world, plan, Strategy(), shards=shards)
        trained.state.discarded = 1
        trained.trainer.fit(15, most=4)
    samples = np.stack(trained.strategy.samples)[..., 0, 0, 0]
    labels = np.stack(trained.strategy.labels)
    assert samples.shape == labels.shape == (15, SHARDS, PER_STEP)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, samples % 3)
    assert len(np.unique(samples)) == 40


def test_the_time_of_input_and_of_updates_is_measured(make: Make) -> None:
    trained, began = make(), time.time()
    trained.trainer.fit(4, most=2)
    assert set(trained.timer.seconds) == {"input", "update"}
    assert 0 < sum(trained.timer.seconds.values()) <= time.time() - began
