"""All-reduces whose times are noted, as tests of several files make them."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from hpcgan.all_reduce import AllReduce
from hpcgan.parallel.timer import CollectiveTimer

STEPS = 6


def timed_steps(
    all_reduce: AllReduce, delay: float = 0.0
) -> tuple[CollectiveTimer, Callable[[], np.ndarray]]:
    """Return a timer, and what makes six compiled all-reduces, each after a delay in seconds."""

    def work(tensor: np.ndarray) -> np.ndarray:
        time.sleep(delay)
        return tensor

    timer = CollectiveTimer()
    timed = timer.timed(all_reduce)

    @tf.function
    def run(vector: tf.Tensor) -> tf.Tensor:
        for _ in tf.range(STEPS):
            vector = tf.ensure_shape(tf.numpy_function(work, [vector], tf.float32), [3])
            vector = timed(vector)
        return vector

    return timer, lambda: run(tf.ones([3])).numpy()
