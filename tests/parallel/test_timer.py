"""The times of the newest all-reduces of one rank."""

from __future__ import annotations

import time

import numpy as np
import tensorflow as tf

from hpcgan.all_reduce import identity
from hpcgan.parallel.timer import CollectiveTimer


def _timed(steps):
    """Return a timer, and what makes some compiled all-reduces."""
    timer = CollectiveTimer()
    timed = timer.timed(identity)

    @tf.function
    def run(vector):
        for _ in tf.range(steps):
            vector = timed(vector, 0.5)
        return vector

    return timer, lambda: run(tf.ones([3])).numpy()


def test_it_begins_with_none():
    timer, _ = _timed(steps=2)
    count, times = timer.read()
    assert (count, timer.count(), times.shape) == (0, 0, (0, 2))


def test_the_sum_and_its_scale_are_those_of_the_all_reduce():
    timer, run = _timed(steps=3)
    assert run().tolist() == [0.125] * 3
    assert timer.count() == 3


def test_the_newest_are_remembered_in_order():
    timer, run = _timed(steps=3000)
    run()
    between = time.time()
    run()
    count, times = timer.read()
    assert count == 6000
    assert 3000 < len(times) < count
    assert (np.diff(times.ravel()) >= 0).all()
    assert (times[:, 0] < between).sum() == len(times) - 3000


def test_what_arrives_is_waited_for_when_nothing_else_is_left_to_do():
    timer = CollectiveTimer()

    @tf.function
    def step(vector):
        worked = tf.py_function(time.time, [], tf.float64)
        return timer.arrived(vector + 1.0, worked), worked

    for number in range(2):
        arrived, worked = step(tf.ones([3]))
        assert arrived.numpy().tolist() == [2.0] * 3
        count, times = timer.read()
        assert count == number + 1
        assert worked <= times[-1, 0] <= times[-1, 1]
