"""The tree of ranks that watch one another, and who of it speaks; whole programs that end."""

from __future__ import annotations

import subprocess

import pytest

from hpcgan.training.heartbeat import parent_of, turn_of


def test_every_rank_has_one_parent_before_it() -> None:
    assert [parent_of(rank) for rank in (1, 32, 33, 1056, 1057)] == [0, 0, 1, 32, 33]
    assert all(parent_of(rank) < rank for rank in range(1, 5000))
    assert [parent_of(rank, fan_out=2) for rank in (1, 2, 3, 4, 5, 6, 7)] == [0, 0, 1, 1, 2, 2, 3]
    assert [parent_of(rank, fan_out=1) for rank in (1, 2, 3)] == [0, 1, 2]


def test_of_the_ranks_below_one_that_died_the_first_speaks_and_its_parent_before_it() -> None:
    # Nobody is above rank 0 to speak before those below it.
    assert [turn_of(rank, fan_out=2) for rank in (1, 2)] == [0.0, 2.0]
    assert [turn_of(rank, fan_out=2) for rank in (3, 4, 5, 6)] == [2.0, 4.0, 2.0, 4.0]
    assert turn_of(32) == 6.0


# A program without TensorFlow whose ranks beat, and then do what rank RANK alone does.
_RANKS = """
import os, sys, time
import numpy as np
from hpcgan.training import heartbeat
from hpcgan.training.callback import Call
from hpcgan.world import World
from tests.unmeasured import NOT_MEASURED
world = World()
watch = heartbeat.Heartbeat(world, {stall}, fan_out={fan_out})
{before}
with watch.beating():
    watch.before_call(0)
    world.barrier()
    watch.after_call(Call(0, 1, np.zeros((1, 2)), np.zeros(1, bool), False, NOT_MEASURED))
    if world.rank == {rank}:
        {act}
    world.barrier()
"""


def end(
    python, act: str, rank: int, ranks: int = 4, **more: str
) -> subprocess.CompletedProcess[str]:
    """Return how a program ended of which one rank does something else."""
    given = {"before": "", "stall": 60, "fan_out": 1} | more
    return python("-c", _RANKS.format(act=act, rank=rank, **given), ranks=ranks)


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return hpcgan's lines."""
    lines = [line.strip("\0 ") for line in done.stderr.splitlines()]
    return [line for line in lines if line.startswith("hpcgan: ")]


def test_a_rank_that_dies_deep_in_the_tree_is_named_once(python) -> None:
    done = end(python, "os._exit(0)", rank=2)
    assert done.returncode == 1
    (line,) = said(done)
    assert line.startswith("hpcgan: rank 2 on ")
    assert " died after step 0: killed, crashed or out of memory; all ranks end" in line


@pytest.mark.parametrize("rank", [0, 2])
def test_the_rank_for_which_all_others_wait_blames_itself(python, rank: int) -> None:
    """Outside the update, in a collective that one rank does not enter."""
    done = end(python, "time.sleep(600)", rank=rank, stall=5)
    assert done.returncode == 1
    (line,) = said(done)
    assert line.startswith(f"hpcgan: rank {rank} on ")
    assert " stalls after step 0, for " in line
    assert "in <module> (<string>:" in line


def test_a_bug_in_the_watch_itself_ends_all_ranks_with_its_traceback(python) -> None:
    before = """
def broken(*_):
    if world.rank == 1:
        raise ValueError("a bug in the watch")
heartbeat.diagnose = broken
"""
    done = end(python, "time.sleep(600)", rank=1, ranks=2, before=before)
    assert done.returncode == 1
    assert "hpcgan: rank 1 of 2 on " in done.stderr
    assert done.stderr.count("ValueError: a bug in the watch") == 1
    assert " died " not in done.stderr
