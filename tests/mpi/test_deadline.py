"""Exchanges that give up, on any number of ranks. Each test has tags of its own."""

from __future__ import annotations

import time

import numpy as np


def test_values_of_any_length_are_gathered_by_rank(world):
    ranks = world.with_deadline()
    own = {"rank": world.rank, "text": "é" * 100_000 * world.rank}
    values = ranks.gather(own, 20, tag=101)
    if not world.is_root:
        assert values == []
        return
    assert [each["rank"] for each in values] == list(range(world.size))
    assert [len(each["text"]) for each in values] == [100_000 * rank for rank in range(world.size)]


def test_ranks_that_do_not_come_are_none(world):
    ranks = world.with_deadline()
    late = world.size - 1
    if world.rank != late:
        began = time.monotonic()
        values = ranks.gather("here", 0.5, tag=102)
        if world.is_root:
            assert time.monotonic() - began >= 0.5
            assert values == ["here"] * late + [None]
    # What comes too late is taken for no other collective.
    assert ranks.broadcast("go on", 20, tag=103) == "go on"
    if world.rank == late:
        ranks.gather("late", 0.5, tag=102)
    values = ranks.gather(world.rank, 20, tag=104)
    assert values == (list(range(world.size)) if world.is_root else [])


def test_all_get_what_rank_0_holds_or_none(world):
    ranks = world.with_deadline()
    value = {"x": [1, "é"]} if world.is_root else None
    assert ranks.broadcast(value, 20, tag=105) == {"x": [1, "é"]}
    if not world.is_root:
        assert ranks.broadcast(None, 0.3, tag=106) is None
    world.barrier()


def test_sums_are_right_and_in_time(world):
    ranks = world.with_deadline()
    own = np.arange(1000, dtype=np.float32) * (world.rank + 1)
    total = ranks.sum(own, 20)
    factor = world.size * (world.size + 1) // 2
    np.testing.assert_array_equal(total, np.arange(1000, dtype=np.float32) * factor)


def test_a_sum_gives_up_when_a_rank_does_not_come(world):
    ranks = world.with_deadline()
    late, own = world.size - 1, np.ones(10, np.float32)
    if world.rank != late:
        assert ranks.sum(own, 0.5) is None
    ranks.gather("gave up", 20, tag=107)
    ranks.broadcast("go on", 20, tag=108)
    if world.rank == late:  # the others' requests are still there
        np.testing.assert_array_equal(ranks.sum(own, 20), np.full(10, world.size))
    world.barrier()


def test_neighbours_swap_arrays(world):
    ranks = world.with_deadline()
    other = world.rank ^ 1
    if other < world.size:
        assert ranks.swap(np.zeros(2**18, np.float32), other, 20, tag=109)
    elif world.size > 1:  # the last of an odd number: rank 0 does not answer
        assert not ranks.swap(np.zeros(2**18, np.float32), 0, 0.3, tag=110)
