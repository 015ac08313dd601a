"""What the ranks find out about their time: marks in the update, clocks, a rank that lags."""

from __future__ import annotations

import itertools
import time
from types import SimpleNamespace

import numpy as np

from hpcgan.all_reduce import identity
from hpcgan.training import split
from hpcgan.training.stopwatch import Stopwatch

_DELAY = 0.05
_STEPS = 6


def _exchanging(ring, delay, steps=_STEPS):
    """Return marks and a compiled function of some exchanges, each after a delay in seconds."""
    import tensorflow as tf

    from hpcgan.parallel.marks import Marks

    def work(tensor):
        time.sleep(delay)
        return tensor

    marks = Marks()
    exchange = marks.timed(ring)

    @tf.function
    def run(vector):
        for _ in tf.range(steps):
            vector = tf.ensure_shape(tf.numpy_function(work, [vector], tf.float32), [3])
            vector = exchange(vector)
        return vector

    return marks, lambda: run(tf.ones([3])).numpy()


def test_marks_change_no_sum_and_tell_when_each_exchange_was(world, ring):
    marks, run = _exchanging(ring, 0.0)
    began = time.time()
    assert run().tolist() == [world.size**_STEPS] * 3
    count, times = marks.read()
    assert (count, times.shape) == (_STEPS, (_STEPS, 2))
    flat = times.ravel()
    assert began - 1e-5 <= flat[0]
    assert flat[-1] <= time.time()
    assert (np.diff(flat) >= 0).all()
    run()
    count, newest = marks.read()
    assert (count, newest.shape) == (2 * _STEPS, (2 * _STEPS, 2))
    assert np.array_equal(newest[:_STEPS], times)


def test_the_newest_exchanges_are_remembered_in_order():
    marks, run = _exchanging(alone, 0.0, steps=3000)
    run()
    between = time.time()
    run()
    count, times = marks.read()
    assert count == 6000
    assert 3000 < len(times) < count
    assert (np.diff(times.ravel()) >= 0).all()
    assert (times[:, 0] < between).sum() == len(times) - 3000


def test_a_rank_that_lags_is_named_and_the_others_wait_for_it(world, ring):
    last = world.size - 1
    marks, run = _exchanging(ring, _DELAY if world.rank == last else 0.0)
    run()  # compiles
    stopwatch = Stopwatch(marks)
    with stopwatch.updating(0, _STEPS):
        run()
    found = split.gather(world, stopwatch)
    assert (found is None) == (not world.is_root)
    if found is None:
        return
    whole = _STEPS * _DELAY
    assert found.slowest_rank == last
    assert found.compute_seconds >= whole / world.size
    if world.size > 1:
        assert found.slowest_rank_behind > 1
        # All but the last wait for nearly all of it: it must be more than half.
        assert found.wait_seconds > 0.5 * whole * last / world.size
    else:
        assert found.wait_seconds == 0


def test_ranks_agree_on_the_lines_that_have_a_split(world, ring, monkeypatch):
    marks, run = _exchanging(ring, 0.0)
    stopwatch = Stopwatch(marks)
    # By rank 0's clock lines are 0.3 s apart, by that of others 1000 s: rank 0's counts.
    clock = itertools.count(0.0, 1000.0 if world.rank else 0.3)
    monkeypatch.setattr(split, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    splits = split.Splits(world, stopwatch)
    found = []
    for _ in range(6):
        with stopwatch.updating(0, _STEPS):
            run()
        found.append(splits.at_line() is not None)
    # The clock is read only where there is a split: 1 line in 0.3 s, so 4 lines; then 4 in 0.3 s.
    assert found == ([True, False, False, False, True, False] if world.is_root else [False] * 6)


def test_clocks_that_differ_are_told(world):
    offset = world.clock_offset(lambda: time.time() + 1000.0 * world.rank)
    assert abs(offset + 1000.0 * world.rank) < 1.0
