"""Several tensors as one flat vector, so that they travel in one exchange."""

from __future__ import annotations

import math

import tensorflow as tf


class Vector:
    """The layout of a flat float32 vector that holds tensors one after the other."""

    def __init__(self, shapes: list[tuple[int, ...]]) -> None:
        """Lay out tensors of some shapes."""
        self._shapes = shapes
        self._sizes = [math.prod(shape) for shape in shapes]
        self.length = sum(self._sizes)

    @staticmethod
    def join(tensors: list[tf.Tensor]) -> tf.Tensor:
        """Return tensors as one float32 vector, (length,)."""
        return tf.concat([tf.reshape(tf.cast(t, tf.float32), [-1]) for t in tensors], 0)

    def split(self, vector: tf.Tensor) -> list[tf.Tensor]:
        """Return the tensors of a vector, (length,), in their shapes."""
        parts = tf.split(vector, self._sizes)
        return [tf.reshape(p, s) for p, s in zip(parts, self._shapes, strict=True)]
