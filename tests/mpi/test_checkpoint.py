"""Checkpoints of runs of any number of ranks: made by rank 0, restored by all."""

from __future__ import annotations

import re

import numpy as np
import pytest

from hpcgan import checkpoint
from hpcgan.errors import RunError
from hpcgan.gan.state import State
from hpcgan.training import plan
from tests.mpi.small_runs import check_same, train, variables, write_config


def test_all_ranks_hold_the_same_state_after_a_restore(world, small_run):
    options = ["--train.steps=20"]
    run = plan.prepare(world, small_run.config, options, small_run.directory, "auto")
    state = State(run.config, (8, 8, 1))
    checkpoint.restore(world, state, run.found)
    assert state.step == 10
    sums = {
        f"{group}/{name}": float(np.sum(array, dtype=np.float64))
        for group, named in state.arrays().items()
        for name, array in named.items()
    }
    assert world.gather_json(sums) == [sums] * world.size


def test_a_run_that_begins_from_a_checkpoint_of_elsewhere_has_it_in_its_own_directory(
    world, shared_path, small_run, monkeypatch
):
    chosen = checkpoint.path_of(small_run.directory / "checkpoints", 5)

    def kill(run, last):
        raise RunError("killed before its first step", on_all_ranks=True)

    monkeypatch.setattr("hpcgan.training.run.Run.fit", kill)
    with pytest.raises(RunError, match="before its first step"):
        train(world, small_run.config, shared_path / "run", resume=str(chosen))
    world.barrier()
    runs = (shared_path / "run", small_run.directory)
    check_same(*(variables(world, run, 5) for run in runs))


def test_rank_0_makes_checkpoints_by_its_clock_and_never_of_losses_that_are_not_finite(
    world, shared_path
):
    by_time = {"every_steps": None, "every_minutes": 1e-9, "keep": 100}
    config = write_config(world, shared_path, checkpoint=by_time, log={"every_steps": 20})
    train(world, config, shared_path / "run", "--train.steps=20")
    options = ["--train.steps=20", "--optimizer.generator.learning_rate=1e30"]
    with pytest.raises(RunError, match=r"of step \d+ are not finite") as caught:
        train(world, config, shared_path / "odd", *options)
    assert caught.value.on_all_ranks
    if world.is_root:
        made = [path.stem for path in sorted((shared_path / "run" / "checkpoints").iterdir())]
        assert (made[0], made[-1]) == ("step_00000000", "step_00000020")
        assert len(made) > 2
        kept = [path.stem for path in sorted((shared_path / "odd" / "checkpoints").iterdir())]
        bad = int(re.search(r"of step (\d+) are", str(caught.value))[1])
        assert kept[0] == "step_00000000"
        assert kept[-1] < f"step_{bad:08d}"


def test_a_disk_that_fails_once_does_not_end_the_run(world, shared_path, monkeypatch):
    write = checkpoint.write

    def fail_at_5(given):
        if given.step == 5:
            raise RunError("step_00000005.h5: cannot be written: No space left on device")
        write(given)

    monkeypatch.setattr(checkpoint, "write", fail_at_5)
    config = write_config(world, shared_path)
    train(world, config, shared_path / "run")
    if world.is_root:
        made = [path.stem for path in sorted((shared_path / "run" / "checkpoints").iterdir())]
        assert made == ["step_00000000", "step_00000010"]
