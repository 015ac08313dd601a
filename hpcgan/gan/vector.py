"""Several tensors as one flat vector, so that they travel in one exchange."""

from __future__ import annotations

import math

import tensorflow as tf

# Floats between two places where TensorFlow lets a tensor begin (64 bytes).
_ROW = 16


class Vector:
    """The layout of a flat float32 vector that holds tensors one after the other.

    Each is followed by zeros up to where the next can begin: so ``split`` gives views of the
    vector. Else it would copy all of it.
    """

    def __init__(self, shapes: list[tuple[int, ...]]) -> None:
        """Lay out tensors of some shapes."""
        self._shapes = shapes
        self._rows = [math.ceil(math.prod(shape) / _ROW) for shape in shapes]
        self.length = sum(self._rows) * _ROW

    def join(self, tensors: list[tf.Tensor]) -> tf.Tensor:
        """Return tensors as one float32 vector, (length,)."""
        pieces = []
        for tensor, rows in zip(tensors, self._rows, strict=True):
            flat = tf.reshape(tf.cast(tensor, tf.float32), [-1])
            pieces += [flat, tf.zeros(rows * _ROW - flat.shape[0])]
        return tf.concat([piece for piece in pieces if piece.shape[0]], 0)

    def split(self, vector: tf.Tensor) -> list[tf.Tensor]:
        """Return the tensors of a vector, (length,), in their shapes."""
        # TensorFlow shares what it splits only along the first of several axes.
        parts = tf.split(tf.reshape(vector, [-1, _ROW]), self._rows)
        return [
            tf.reshape(tf.reshape(part, [-1])[: math.prod(shape)], shape)
            for part, shape in zip(parts, self._shapes, strict=True)
        ]
