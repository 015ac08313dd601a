"""The scale of the losses in half precision, whose small gradients would else become zero.

Micikevicius et al., "Mixed precision training", 2018, section 3.2. The scale doubles after many
good updates in a row; an update whose gradients overflow is left out, and halves the scale.
"""

from __future__ import annotations

import keras
import tensorflow as tf

_FIRST = 2.0**15
_PATIENCE = 2000  # updates


class LossScale:
    """A factor that follows what the gradients can bear."""

    def __init__(self) -> None:
        """Begin with the largest scale that is usual."""
        self.scale = keras.Variable(_FIRST, trainable=False, dtype="float32", name="scale")
        self.good = keras.Variable(0, trainable=False, dtype="int64", name="good")

    def adapt(self, finite: tf.Tensor) -> None:
        """Take note of an update whose gradients were finite, or were not."""
        good = tf.where(finite, self.good.value + 1, 0)
        grows = good >= _PATIENCE
        factor = tf.where(finite, tf.where(grows, 2.0, 1.0), 0.5)
        self.scale.assign(tf.maximum(self.scale.value * factor, 1.0))
        self.good.assign(tf.where(grows, tf.zeros_like(good), good))
