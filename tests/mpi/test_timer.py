"""The times of all-reduces, noted inside the compiled steps of all ranks."""

from __future__ import annotations

import time

import numpy as np

from tests.mpi.timed import STEPS, timed_steps


def test_it_changes_no_sum_and_notes_when_each_all_reduce_was(world, all_reduce):
    timer, run = timed_steps(all_reduce)
    began = time.time()
    assert run().tolist() == [world.size**STEPS] * 3
    count, times = timer.read()
    assert (count, times.shape) == (STEPS, (STEPS, 2))
    assert timer.count() == STEPS
    flat = times.ravel()
    assert began - 1e-5 <= flat[0]
    assert flat[-1] <= time.time()
    assert (np.diff(flat) >= 0).all()
    run()
    count, newest = timer.read()
    assert (count, newest.shape) == (2 * STEPS, (2 * STEPS, 2))
    assert np.array_equal(newest[:STEPS], times)
