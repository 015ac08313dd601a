"""The ranks of a run: their numbers, their places and their clocks, on any number of ranks."""

from __future__ import annotations

import os
import time


def test_every_rank_has_its_own_number(world):
    assert world.gather_json(world.rank) == list(range(world.size))
    assert 0 <= world.node_rank < world.node_size <= world.size
    assert world.cores >= 1
    cores = set().union(*world.gather_json(sorted(os.sched_getaffinity(0))))
    assert world.shares_cores == (world.size > len(cores))


def test_the_world_is_the_group_of_all_ranks(world):
    assert world.ranks == list(range(world.size))
    assert world.is_root == (world.rank == 0)


def test_clocks_that_differ_are_compared(world):
    offset = world.clock_offset(lambda: time.time() + 1000.0 * world.rank)
    assert abs(offset + 1000.0 * world.rank) < 1.0
