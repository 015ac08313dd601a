"""The older versions of a network, for training that looks back: a row of a table for each.

The version of update i, i.e. after i updates, is in row i % rows. So the row that is read, of
``rows`` updates ago, is the row into which the present version goes.
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf


class Rows:
    """Some vectors, (rows, length) float32.

    Attributes:
        values: the variable that holds them.
    """

    def __init__(self, rows: int, length: int) -> None:
        """Begin with zeros."""
        self.values = keras.Variable(
            np.zeros((rows, length), np.float32), trainable=False, name="versions"
        )

    @property
    def count(self) -> int:
        """The number of rows."""
        return self.values.shape[0]

    def fill(self, vector: np.ndarray) -> None:
        """Put a vector, (length,), into each row."""
        self.values.assign(np.broadcast_to(vector, self.values.shape))

    def read(self, number: tf.Tensor) -> tf.Tensor:
        """Return the vector in the row of a number, (length,)."""
        # A gather copies the row: else the next write would have to copy all rows.
        return self.values.value.sparse_read(number % self.count)

    def write(self, number: tf.Tensor, vector: tf.Tensor) -> None:
        """Put a vector into the row of a number."""
        row = tf.IndexedSlices(vector[tf.newaxis], (number % self.count)[tf.newaxis])
        self.values.value.scatter_update(row)

    def turn(self, number: tf.Tensor, vector: tf.Tensor) -> tf.Tensor:
        """Return what was in the row of a number, and put a vector in its place."""
        older = self.read(number)
        self.write(number, vector)
        return older
