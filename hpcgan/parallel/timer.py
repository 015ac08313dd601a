"""When this rank was in an exchange, noted inside the compiled step.

This adds a few small operations to each (``benchmarks.split`` shows what they cost) and sends
nothing. An all-reduce lasts from when this rank has what it gives until it has the sum: so a rank
that comes early also waits in it. A hand-over goes on beside the computation: of it is noted what
is left when this rank has nothing else to do. On a GPU, whose work TensorFlow only queues, both
begin before what they wait for has been computed.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from hpcgan.all_reduce import AllReduce

# Exchanges that are remembered: more than a call makes.
_KEPT = 4096


class CollectiveTimer:
    """The times of the newest exchanges."""

    def __init__(self) -> None:
        """Begin with none."""
        with tf.device("CPU:0"):
            self._times = tf.Variable(tf.zeros([_KEPT, 2], tf.float64), trainable=False)
            self._count = tf.Variable(0, dtype=tf.int64, trainable=False)

    def timed(self, all_reduce: AllReduce) -> AllReduce:
        """Return ``all_reduce``, which from now on notes when it begins and ends."""

        def timed(vector: tf.Tensor, scale: float = 1.0) -> tf.Tensor:
            with tf.control_dependencies([vector]):
                began = tf.timestamp()
            with tf.control_dependencies([began]):
                total = all_reduce(tf.identity(vector), scale)
            return self._noted(total, began)

        return timed

    def arrived(self, vector: tf.Tensor, after: tf.Tensor) -> tf.Tensor:
        """Return a vector that comes from others, and note how long it is waited for.

        ``after`` is what this rank has made, when nothing is left to do but to wait.
        """
        with tf.control_dependencies([after]):
            return self._noted(vector, tf.timestamp())

    def _noted(self, result: tf.Tensor, began: tf.Tensor) -> tf.Tensor:
        """Return a result, and note when it was waited for."""
        with tf.control_dependencies([result, began]):
            ended = tf.timestamp()
        with tf.device("CPU:0"):
            row = self._count % _KEPT
            self._times.scatter_update(tf.IndexedSlices(tf.stack([began, ended]), row))
            self._count.assign_add(1, read_value=False)
        # Without this, a lone thread may first do all that follows, and read the clock then.
        with tf.control_dependencies([ended]):
            return tf.identity(result)

    def count(self) -> int:
        """Return how many exchanges there were, the same on all ranks between calls."""
        return int(self._count.numpy())

    def read(self) -> tuple[int, np.ndarray]:
        """Return ``count`` and the newest exchanges.

        Of these, in order, when each began and ended: (exchanges, 2) float64, in seconds since
        1970 by this rank's clock.
        """
        count = self.count()
        rows = np.arange(max(0, count - _KEPT), count) % _KEPT
        return count, self._times.numpy()[rows]
