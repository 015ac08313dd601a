"""Checkpoints beside the training: when they are made, and what a disk that fails does to a run."""

from __future__ import annotations

import math
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hpcgan import checkpoint, checkpoint_directory
from hpcgan.checkpoint import Checkpoint
from hpcgan.errors import DataError, RunError
from hpcgan.gan.state import State
from hpcgan.training.checkpoint_manager import RETRY_SECONDS, CheckpointManager, best_interval
from hpcgan.training.plan import Plan, prepare
from hpcgan.world import World

Make = Callable[..., "Saved"]
LAST = 100
SECONDS = 30  # after which a test that waits for a thread has failed


class Saved:
    """A checkpoint manager, what it uses, and what it has had written."""

    def __init__(self, plan: Plan, state: Any, writings: list[Future[None]]) -> None:
        self.plan = plan
        self.state = state
        self.writings = writings
        self.now = 1000.0
        self.copied = 0.0  # seconds that a copy takes
        self.written: list[int] = []
        self.errors: list[Exception | None] = []  # of the next writes
        self.may_write = threading.Event()
        self.may_write.set()
        self.manager = CheckpointManager(plan, state, lambda: self.now)

    def write(self, given: Checkpoint) -> None:
        """Take the place of ``checkpoint.write``."""
        assert self.may_write.wait(SECONDS)
        error = self.errors.pop(0) if self.errors else None
        if error:
            raise error
        self.written.append(given.step)

    def arrays(self) -> dict[str, dict[str, np.ndarray]]:
        """Take the place of ``State.arrays``."""
        self.now += self.copied
        return {}

    def end_call(self, step: int, due: bool = False) -> None:
        """Come to the end of a call."""
        self.state.step = step
        self.manager.maybe_save(due)

    def settle(self) -> None:
        """Wait until what is being written is written or has failed; nothing is raised."""
        for writing in self.writings:
            writing.exception(SECONDS)


def disk_full() -> RunError:
    return RunError("step.h5: cannot be written: No space left on device; make room")


@pytest.fixture
def prepared(world: World, data_file: Path, tmp_path: Path) -> Callable[..., Plan]:
    """Return a function that plans a run in tmp_path/run with keys of the checkpoint section."""

    def make(**keys: object) -> Plan:
        config = tmp_path / "run.yaml"
        config.write_text(
            f"data: {{files: [{data_file}], shards: 1}}\nmodel: {{latent_dim: 2}}\n"
            f"train: {{steps: {LAST}, batch_size: 4}}\n"
        )
        (tmp_path / "run").mkdir()
        words = [f"--checkpoint.{key}={value}" for key, value in keys.items()]
        return prepare(world, str(config), words, tmp_path / "run", "auto")

    return make


@pytest.fixture
def make(prepared: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return a function that makes a ``Saved``, by keys of the checkpoint section."""

    def make(**keys: object) -> Saved:
        state = SimpleNamespace(step=0, rollbacks=0, discarded=0)
        writings: list[Future[None]] = []

        class Thread(ThreadPoolExecutor):
            def submit(self, *words: Any) -> Any:  # type: ignore[override]
                writings.append(super().submit(*words))
                return writings[-1]

        monkeypatch.setattr("hpcgan.training.checkpoint_manager.ThreadPoolExecutor", Thread)
        saved = Saved(prepared(**keys), state, writings)
        state.arrays = saved.arrays
        monkeypatch.setattr(checkpoint, "write", saved.write)
        return saved

    return make


def test_a_checkpoint_is_written_while_the_training_goes_on(make: Make) -> None:
    saved = make()
    saved.may_write.clear()
    saved.end_call(10, due=True)  # would never return if this thread had to write
    saved.end_call(20)
    assert saved.written == []
    saved.may_write.set()
    saved.manager.close()
    assert saved.written == [10]


def test_a_checkpoint_that_is_due_waits_for_the_last_one(make: Make) -> None:
    saved = make()
    saved.may_write.clear()
    saved.end_call(10, due=True)
    next_one = threading.Thread(target=saved.end_call, args=(20, True))
    next_one.start()
    next_one.join(0.1)
    assert next_one.is_alive()
    assert saved.written == []
    saved.may_write.set()
    next_one.join(SECONDS)
    assert not next_one.is_alive()
    assert saved.written[0] == 10
    saved.manager.close()
    assert saved.written == [10, 20]


def test_two_checkpoints_are_never_written_at_once(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = make()
    writers = threading.Semaphore(1)
    prune = checkpoint_directory.prune

    def write(given: Checkpoint) -> None:
        assert writers.acquire(blocking=False)
        saved.written.append(given.step)

    def prune_and_leave(*words: Any) -> None:
        prune(*words)
        writers.release()

    monkeypatch.setattr(checkpoint, "write", write)
    monkeypatch.setattr(checkpoint_directory, "prune", prune_and_leave)
    for step in range(1, LAST):
        saved.end_call(step, due=True)
    saved.manager.close()
    assert saved.written == [*range(1, LAST)]


def test_the_state_is_that_of_the_step_though_it_changes_while_it_is_written(
    prepared: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = prepared()
    state = State(plan.config, plan.source.sample_shape)
    before, goes_on, write = state.arrays(), threading.Event(), checkpoint.write

    def write_later(given: Checkpoint) -> None:
        assert goes_on.wait(SECONDS)
        write(given)

    monkeypatch.setattr(checkpoint, "write", write_later)
    manager = CheckpointManager(plan, state)
    state.step, state.rollbacks, state.discarded = 7, 2, 6
    manager.maybe_save(True)
    state.step = 8
    for named in state.variables().values():
        for variable in named.values():
            variable.assign(variable + np.ones((), variable.dtype))
    goes_on.set()
    manager.close()
    found = checkpoint.read(checkpoint.path_of(plan.checkpoints, 7))
    assert (found.step, found.images) == (7, 28)
    assert (found.rollbacks, found.discarded) == (2, 6)
    assert found.data == plan.data
    assert found.fingerprints == plan.fingerprints != ()
    for group, named in before.items():
        for name, array in named.items():
            np.testing.assert_array_equal(found.groups[group][name], array)


def test_a_first_checkpoint_that_fails_ends_the_run_before_it_starts(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = make()
    saved.errors = [disk_full()]
    with pytest.raises(RunError, match=r"make room$"):
        saved.manager.save_now()
    assert capsys.readouterr().out == ""


def test_a_first_checkpoint_is_there_before_the_training_starts(make: Make) -> None:
    saved = make()
    saved.manager.save_now()
    assert saved.written == [0]


def test_a_failure_is_printed_and_tried_again_with_the_state_of_then(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = make()
    saved.errors = [disk_full()]
    saved.end_call(10, due=True)
    saved.settle()
    assert capsys.readouterr().out == (
        f"hpcgan: warning: {disk_full()}; training goes on, and a checkpoint is tried again in "
        f"{RETRY_SECONDS:.0f} s (failure 1 of 3)\n"
    )
    saved.now += RETRY_SECONDS - 1
    saved.end_call(20, due=True)  # not yet, though one is due
    saved.now += 1
    saved.end_call(24)
    saved.manager.close()
    assert saved.written == [24]
    assert capsys.readouterr().out == ""


def test_a_success_between_failures_forgives_them(make: Make) -> None:
    saved = make(failures=2)
    saved.errors = [disk_full(), None, disk_full(), None]
    for step in (10, 20, 30, 40):
        saved.end_call(step, due=True)
        saved.settle()
        saved.now += RETRY_SECONDS
    saved.manager.close()
    assert saved.written == [20, 40]


def test_failures_in_a_row_end_the_run(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    saved = make(failures=2)
    saved.errors = [disk_full(), disk_full()]
    saved.end_call(10, due=True)
    saved.settle()
    saved.now += RETRY_SECONDS
    saved.end_call(11)
    saved.settle()
    with pytest.raises(RunError, match=r"make room \(2 attempts in a row failed\)$") as caught:
        saved.end_call(12)
    assert caught.value.status == 1
    assert capsys.readouterr().out.count("warning") == 1


def test_every_error_of_the_files_is_the_disks_and_ends_with_status_1(make: Make) -> None:
    saved = make(failures=1)
    saved.errors = [DataError("step.h5: there is no directory checkpoints; make it first")]
    saved.end_call(10, due=True)
    saved.settle()
    with pytest.raises(RunError, match="there is no directory") as caught:
        saved.end_call(20)
    assert caught.value.status == 1


def test_the_last_checkpoint_is_tried_whatever_failed_before(make: Make) -> None:
    saved = make()
    saved.errors = [disk_full()]
    saved.end_call(10, due=True)
    saved.settle()
    saved.end_call(LAST, due=True)
    saved.manager.close()
    assert saved.written == [LAST]


def test_a_last_checkpoint_that_fails_is_an_error_of_the_run(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = make()
    saved.errors = [disk_full()]
    saved.end_call(LAST, due=True)
    with pytest.raises(RunError, match="No space left"):
        saved.manager.close()
    assert capsys.readouterr().out == ""


def test_what_is_being_written_is_waited_for_when_another_error_ends_the_run(make: Make) -> None:
    saved = make()
    saved.may_write.clear()
    saved.end_call(10, due=True)
    ends = threading.Thread(target=saved.manager.settle)
    ends.start()
    ends.join(0.1)
    assert ends.is_alive()
    saved.may_write.set()
    ends.join(SECONDS)
    assert not ends.is_alive()
    assert saved.written == [10]


@pytest.mark.parametrize("ends", [True, False])
def test_a_bug_of_the_writing_thread_is_raised_with_its_traceback(make: Make, ends: bool) -> None:
    saved = make()
    saved.errors = [ZeroDivisionError("a bug")]
    saved.end_call(10, due=True)
    saved.settle()
    with pytest.raises(ZeroDivisionError) as caught:
        saved.manager.close() if ends else saved.end_call(11)
    assert "in write" in "".join(traceback.format_exception(caught.value))


def test_old_checkpoints_are_deleted_but_for_multiples_of_keep_every(
    prepared: Callable[..., Plan],
) -> None:
    plan = prepared(keep=2, keep_every=20)
    state: Any = SimpleNamespace(step=0, rollbacks=0, discarded=0, arrays=lambda: {})
    manager = CheckpointManager(plan, state)
    manager.save_now()
    for step in (10, 20, 30, 40, 50, 60, 70):
        state.step = step
        manager.maybe_save(True)
    manager.close()
    kept = sorted(int(path.stem[5:]) for path in plan.checkpoints.iterdir())
    assert kept == [0, 20, 40, 60, 70]


def test_a_checkpoint_is_made_when_minutes_have_passed_since_the_last(make: Make) -> None:
    saved = make(every_minutes=2)
    saved.end_call(10)
    saved.now += 119
    saved.end_call(20)
    saved.now += 1
    saved.end_call(30)
    saved.settle()
    saved.now += 60
    saved.end_call(40, due=True)  # by steps: the minutes count from here
    saved.settle()
    saved.now += 119
    saved.end_call(50)
    saved.now += 1
    saved.end_call(60)
    saved.manager.close()
    assert saved.written == [30, 40, 60]


def test_minutes_never_make_the_training_wait(make: Make) -> None:
    saved = make(every_minutes=1)
    saved.may_write.clear()
    for step in (10, 20, 30):
        saved.now += 60
        saved.end_call(step)  # would wait for ever
    saved.may_write.set()
    saved.settle()
    saved.end_call(40)
    saved.manager.close()
    assert saved.written == [10, 40]


def test_without_minutes_time_makes_no_checkpoint(make: Make) -> None:
    saved = make(every_steps="null")
    saved.now += 1e9
    saved.end_call(10)
    saved.manager.close()
    assert saved.written == []


def test_the_best_interval_is_youngs() -> None:
    # By hand: 2 * 0.5 s * 3600 s = 3600 s**2, 60 s; 2 * 9 s * 2 * 3600 s = 129600 s**2, 360 s.
    assert best_interval(0.5, 3600) == 60
    assert best_interval(9, 2 * 3600) == 360


def test_the_best_interval_loses_the_least_time() -> None:
    cost, mtbf = 3.0, 5000.0

    def lost(interval: float) -> float:
        """Return the part of the time that goes into checkpoints and into work made again."""
        return cost / interval + interval / (2 * mtbf)

    best = best_interval(cost, mtbf)
    tried = [lost(factor * best) for factor in np.linspace(0.25, 4, 400)]
    assert lost(best) <= min(tried)
    assert not math.isclose(lost(best), lost(2 * best), rel_tol=0.1)


def test_auto_goes_by_the_cost_of_the_last_checkpoint(make: Make) -> None:
    saved = make(every_minutes="auto", mtbf_hours=1)
    saved.copied = 0.5
    saved.manager.save_now()
    saved.now += 59
    saved.end_call(10)
    saved.now += 1
    saved.copied = 2.0  # from now on 120 seconds are best
    saved.end_call(20)
    saved.settle()
    saved.now += 119
    saved.end_call(30)
    saved.now += 1
    saved.end_call(40)
    saved.manager.close()
    assert saved.written == [0, 20, 40]


def test_auto_of_a_run_that_goes_on_makes_one_after_ten_minutes(make: Make) -> None:
    saved = make(every_minutes="auto")
    saved.now += 599
    saved.end_call(10)
    saved.now += 1
    saved.end_call(20)
    saved.manager.close()
    assert saved.written == [20]
