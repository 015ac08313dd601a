"""Checkpoints that are made by the clock: how long after the last one."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from hpcgan.training.checkpoint_manager import best_interval
from tests.training.saved import Saved

Make = Callable[..., Saved]


def test_a_checkpoint_is_made_when_minutes_have_passed_since_the_last(make_saved: Make) -> None:
    saved = make_saved(every_minutes=2)
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


def test_minutes_never_make_the_training_wait(make_saved: Make) -> None:
    saved = make_saved(every_minutes=1)
    saved.may_write.clear()
    for step in (10, 20, 30):
        saved.now += 60
        saved.end_call(step)  # would wait for ever
    saved.may_write.set()
    saved.settle()
    saved.end_call(40)
    saved.manager.close()
    assert saved.written == [10, 40]


def test_without_minutes_time_makes_no_checkpoint(make_saved: Make) -> None:
    saved = make_saved(every_steps="null")
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


def test_auto_goes_by_the_cost_of_the_last_checkpoint(make_saved: Make) -> None:
    saved = make_saved(every_minutes="auto", mtbf_hours=1)
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


def test_auto_of_a_run_that_goes_on_makes_one_after_ten_minutes(make_saved: Make) -> None:
    saved = make_saved(every_minutes="auto")
    saved.now += 599
    saved.end_call(10)
    saved.now += 1
    saved.end_call(20)
    saved.manager.close()
    assert saved.written == [20]
