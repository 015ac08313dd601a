"""A population on any number of ranks: its members are the runs that they would be alone."""

from __future__ import annotations

import pytest

from hpcgan.errors import RunError
from hpcgan.training import members, plan, population
from hpcgan.training.stop import Request
from tests.mpi.small_runs import check_same, train, variables, write_config

MEMBERS = 4


def train_all(world, config, run_dir, *options, resume="auto"):
    """Train a population as ``hpcgan train`` does."""
    decided, run_dir = plan.configure(world, config, list(options), run_dir)
    population.train(world, decided, run_dir, resume, False, Request(None, {}))


def written(world, place):
    """Write a configuration whose shards are left to the population."""
    return write_config(world, place, data={"files": [str(place / "data.h5")]})


def test_members_are_the_runs_that_they_would_be_alone(world, shared_path):
    config = written(world, shared_path)
    vary = "{train.ema: [0.1, 0.2, 0.3, 0.4]}"
    options = [f"--population.vary={vary}", f"--parallel.population={MEMBERS}"]
    # Stopped in the middle, which is another number of steps to this one.
    train_all(world, config, shared_path / "all", *options, "--train.steps=5")
    train_all(world, config, shared_path / "all", *options)
    alone = world.part(world.rank)
    for member in range(world.rank, MEMBERS, world.size):
        words = [f"--seed={member}", "--data.shards=1", f"--train.ema={(member + 1) / 10}"]
        train(alone, config, shared_path / f"alone_{member}", *words)
    world.barrier()
    for member in range(MEMBERS):
        places = (shared_path / "all" / f"member_{member}", shared_path / f"alone_{member}")
        check_same(*(variables(world, place, 10) for place in places))


def test_several_ranks_train_a_member_together(world, shared_path):
    if world.size != 3:
        return  # one has two ranks, the other one
    config = written(world, shared_path)
    words = ["--parallel.population=2", "--data.shards=2"]
    train_all(world, config, shared_path / "all", *words)
    number = next(c.number for c in members.crews(2, world.size) if world.rank in c.ranks)
    crew = world.part(number)
    train(crew, config, shared_path / f"alone_{number}", f"--seed={number}", "--data.shards=2")
    world.barrier()
    for member in range(2):
        places = (shared_path / "all" / f"member_{member}", shared_path / f"alone_{member}")
        check_same(*(variables(world, place, 10) for place in places))


def test_what_fails_in_one_does_not_end_the_others(world, shared_path):
    if world.size != 2:
        return  # two take turns, and others go on beside them
    config = written(world, shared_path)

    def stand_in_the_way():
        (shared_path / "all").mkdir()
        (shared_path / "all" / "member_1").write_text("no directory")

    world.on_root(stand_in_the_way)
    with pytest.raises(RunError, match="1 of 4 members have failed: member 1: ") as caught:
        train_all(world, config, shared_path / "all", f"--parallel.population={MEMBERS}")
    assert caught.value.on_all_ranks
    for member in (0, 2, 3):
        variables(world, shared_path / "all" / f"member_{member}", 10)
