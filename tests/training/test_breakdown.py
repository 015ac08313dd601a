"""The step breakdown: values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hpcgan.parallel.timer import CollectiveTimer
from hpcgan.training.breakdown import (
    Breakdowns,
    StepBreakdown,
    break_down,
    covered,
    own_numbers,
    shares,
)
from hpcgan.training.timer import Timer


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        ([], 0.0),
        ([(1, 3)], 2.0),
        ([(1, 3), (5, 6)], 3.0),
        ([(1, 3), (2, 4)], 3.0),  # two under way at once
        ([(1, 9), (2, 4), (8, 10)], 9.0),
        ([(5, 6), (1, 3)], 3.0),
    ],
)
def test_time_in_which_an_all_reduce_was_under_way(times, seconds):
    assert covered(np.array(times, np.float64).reshape(-1, 2)) == seconds


def test_rank_0_gathers_a_ranks_parts_and_its_newest_all_reduces():
    times = np.array([(100 * n, 101 * n) for n in range(100)], np.float64)
    numbers = own_numbers({"update": 6.0, "journal": 2.0, "evaluate": 3.0}, 200, times)
    assert numbers[:6].tolist() == [0, 6, 0, 2, 3, 2 * 4950]  # 0 + 1 + ... + 99
    assert numbers[6:].tolist() == list(range(36, 100))


def _table(*ranks):
    return np.array(ranks, np.float64)


def test_the_time_of_three_ranks_is_broken_down():
    # input, update, checkpoint, journal, evaluate, in all-reduces; two all-reduces. In the first
    # rank 1 comes last, by 2 s, in the second rank 2, by 1 s; an all-reduce takes 0.5 s. Rank 0
    # also writes for 3 s, for which the others wait in all-reduces before those. They evaluate for
    # 4 s together.
    found = break_down(
        _table(
            [0.0, 10.0, 2.0, 1.0, 4.0, 4.0, 2.5, 1.5],
            [1.0, 12.0, 0.0, 0.0, 4.0, 5.0, 0.5, 1.5],
            [0.0, 13.0, 0.0, 0.0, 4.0, 6.0, 2.5, 0.5],
        ),
        2,
    )
    assert found.compute_seconds == pytest.approx((6 + 7 + 7) / 3)
    assert found.exchange_seconds == pytest.approx(1.0)
    assert found.wait_seconds == pytest.approx(5.0 - 1.0 - 3.0 * 2 / 3)
    assert found.input_wait_seconds == pytest.approx(1 / 3)
    assert (found.checkpoint_seconds, found.journal_seconds) == (2.0, 1.0)
    assert found.evaluate_seconds == 4.0
    # Work: 6, 8 and 7 seconds.
    assert found.slowest_rank == 1
    assert found.slowest_rank_behind == pytest.approx(8 / 6.5 - 1)
    # Each rank was busy for 17 s, and that is what the parts add up to.
    assert sum(found[:7]) == pytest.approx(17.0)


def test_the_newest_all_reduces_stand_for_all():
    found = break_down(
        _table([0, 20, 0, 0, 0, 8, 0.25, 0.75], [0, 20, 0, 0, 0, 12, 0.75, 0.25]), 10
    )
    assert found.exchange_seconds == 2.5
    assert found.wait_seconds == 7.5


def test_a_rank_alone_waits_for_nobody():
    found = break_down(_table([1.0, 8.0, 2.0, 1.0, 0.5, 0.25, 0.25]), 1)
    assert found == StepBreakdown(7.75, 0.25, 0.0, 1.0, 2.0, 1.0, 0.5, 0, 0.0)


def test_shares_are_those_of_the_seconds_of_all_lines():
    lines = [
        StepBreakdown(1, 2, 3, 0, 0, 0, 0, 0, 0.0),
        StepBreakdown(3, 0, 0, 0, 1, 0, 10, 1, 0.5),
    ]
    assert shares(lines) == {
        "compute": 0.2,
        "exchange": 0.1,
        "wait": 0.15,
        "input_wait": 0.0,
        "checkpoint": 0.05,
        "journal": 0.0,
        "evaluate": 0.5,
    }
    assert all(math.isnan(share) for share in shares([]).values())


def test_all_reduces_that_are_made_side_by_side_take_no_longer_than_the_time_in_any():
    # Ten of 0.5 s each, two at a time: 2.5 s in which one was under way, and nobody waited.
    found = break_down(_table([0, 20, 0, 0, 0, 2.5, 0.5, 0.5], [0, 20, 0, 0, 0, 3.0, 0.5, 0.5]), 10)
    assert found.exchange_seconds == 2.5
    assert found.wait_seconds == 0.25


def test_where_lines_come_fast_only_some_have_a_breakdown(world):
    """A line each quarter of a second: every fourth has a breakdown, the first one among them."""
    now = 100.0
    breakdowns, found = Breakdowns(world, Timer(CollectiveTimer()), lambda: now), []
    for _ in range(14):
        now += 0.25
        found.append(breakdowns.at_line() is not None)
    assert found == [line % 4 == 0 for line in range(14)]
