"""The step breakdown of all ranks: one that lags is named, and they agree when it is made."""

from __future__ import annotations

import itertools

from hpcgan.training import breakdown
from hpcgan.training.timer import Timer
from tests.mpi.timed import STEPS, timed_steps

_DELAY = 0.05


def test_a_rank_that_lags_is_named_and_the_others_wait_for_it(world, all_reduce):
    last = world.size - 1
    collectives, run = timed_steps(all_reduce, _DELAY if world.rank == last else 0.0)
    run()  # compiles
    timer = Timer(collectives)
    with timer.measure_update(0, STEPS):
        run()
    found = breakdown.gather(world, timer)
    assert (found is None) == (not world.is_root)
    if found is None:
        return
    whole = STEPS * _DELAY
    assert found.slowest_rank == last
    assert found.compute_seconds >= whole / world.size
    if world.size > 1:
        assert found.slowest_rank_behind > 1
        # All but the last wait for nearly all of it: it must be more than half.
        assert found.wait_seconds > 0.5 * whole * last / world.size
    else:
        assert found.wait_seconds == 0


def test_ranks_agree_on_the_lines_that_have_a_breakdown(world, all_reduce):
    collectives, run = timed_steps(all_reduce)
    timer = Timer(collectives)
    # By rank 0's clock lines are 0.3 s apart, by that of others 1000 s: rank 0's counts.
    clock = itertools.count(0.0, 1000.0 if world.rank else 0.3)
    breakdowns = breakdown.Breakdowns(world, timer, lambda: next(clock))
    found = []
    for _ in range(6):
        with timer.measure_update(0, STEPS):
            run()
        found.append(breakdowns.at_line() is not None)
    # The clock is read only where there is one: 1 line in 0.3 s, so 4 lines; then 4 in 0.3 s.
    assert found == ([True, False, False, False, True, False] if world.is_root else [False] * 6)
