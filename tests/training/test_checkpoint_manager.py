"""Checkpoints beside the training: what a disk that is slow or fails does to a run."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hpcgan import checkpoint, checkpoint_directory
from hpcgan.checkpoint import Checkpoint
from hpcgan.errors import DataError, RunError
from hpcgan.gan.state import State
from hpcgan.training.checkpoint_manager import RETRY_SECONDS, CheckpointManager
from hpcgan.training.plan import Plan
from tests.training.saved import LAST, SECONDS, Saved, disk_full, save_if_due

Make = Callable[..., Saved]


def test_a_checkpoint_is_written_while_the_training_goes_on(make_saved: Make) -> None:
    saved = make_saved()
    saved.may_write.clear()
    saved.end_call(10, due=True)  # would never return if this thread had to write
    saved.end_call(20)
    assert saved.written == []
    saved.may_write.set()
    saved.manager.close()
    assert saved.written == [10]


def test_a_checkpoint_that_is_due_waits_for_the_last_one(make_saved: Make) -> None:
    saved = make_saved()
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
    make_saved: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = make_saved()
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
    save_if_due(manager, True)
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
    make_saved: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = make_saved()
    saved.errors = [disk_full()]
    with pytest.raises(RunError, match=r"make room$"):
        saved.manager.save_now()
    assert capsys.readouterr().out == ""


def test_a_first_checkpoint_is_there_before_the_training_starts(make_saved: Make) -> None:
    saved = make_saved()
    saved.manager.save_now()
    assert saved.written == [0]


def test_a_failure_is_printed_and_tried_again_with_the_state_of_then(
    make_saved: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = make_saved()
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


def test_a_success_between_failures_forgives_them(make_saved: Make) -> None:
    saved = make_saved(failures=2)
    saved.errors = [disk_full(), None, disk_full(), None]
    for step in (10, 20, 30, 40):
        saved.end_call(step, due=True)
        saved.settle()
        saved.now += RETRY_SECONDS
    saved.manager.close()
    assert saved.written == [20, 40]


def test_failures_in_a_row_end_the_run(
    make_saved: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = make_saved(failures=2)
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


def test_every_error_of_the_files_is_the_disks_and_ends_with_status_1(make_saved: Make) -> None:
    saved = make_saved(failures=1)
    saved.errors = [DataError("step.h5: there is no directory checkpoints; make it first")]
    saved.end_call(10, due=True)
    saved.settle()
    with pytest.raises(RunError, match="there is no directory") as caught:
        saved.end_call(20)
    assert caught.value.status == 1


def test_the_last_checkpoint_is_tried_whatever_failed_before(make_saved: Make) -> None:
    saved = make_saved()
    saved.errors = [disk_full()]
    saved.end_call(10, due=True)
    saved.settle()
    saved.end_call(LAST, due=True)
    saved.manager.close()
    assert saved.written == [LAST]


def test_a_last_checkpoint_that_fails_is_an_error_of_the_run(
    make_saved: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = make_saved()
    saved.errors = [disk_full()]
    saved.end_call(LAST, due=True)
    with pytest.raises(RunError, match="No space left"):
        saved.manager.close()
    assert capsys.readouterr().out == ""


def test_what_is_being_written_is_waited_for_when_another_error_ends_the_run(
    make_saved: Make,
) -> None:
    saved = make_saved()
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
def test_a_bug_of_the_writing_thread_is_raised_with_its_traceback(
    make_saved: Make, ends: bool
) -> None:
    saved = make_saved()
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
    state: Any = SimpleNamespace(
        step=0, rollbacks=0, discarded=0, values={}, round=0, arrays=lambda: {}
    )
    manager = CheckpointManager(plan, state)
    manager.save_now()
    for step in (10, 20, 30, 40, 50, 60, 70):
        state.step = step
        save_if_due(manager, True)
    manager.close()
    kept = sorted(int(path.stem[5:]) for path in plan.checkpoints.iterdir())
    assert kept == [0, 20, 40, 60, 70]
