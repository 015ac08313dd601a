"""Value functions of the game, on logits.

With D's logit l, the probability that a sample is real is sigmoid(l); log sigmoid(l) is
-softplus(-l) and log(1 - sigmoid(l)) is -softplus(l), which neither overflow nor lose digits.
Each function takes logits of shape (batch, 1) and returns a float32 scalar: the batch's mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


class Loss(NamedTuple):
    """What D minimises, given its logits of real and generated samples, and what G does."""

    discriminator: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    generator: Callable[[tf.Tensor], tf.Tensor]


def _mean(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.cast(values, tf.float32))


def cross_entropy(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """Return -E[log D(x)] - E[log(1 - D(G(z)))] (Goodfellow et al., 2014, equation 1)."""
    return _mean(tf.nn.softplus(-real_logits)) + _mean(tf.nn.softplus(fake_logits))


def minimax_generator(fake_logits: tf.Tensor) -> tf.Tensor:
    """Return E[log(1 - D(G(z)))] (Goodfellow et al., 2014, equation 1)."""
    return -_mean(tf.nn.softplus(fake_logits))


def non_saturating_generator(fake_logits: tf.Tensor) -> tf.Tensor:
    """Return -E[log D(G(z))] (Goodfellow et al., 2014, section 3)."""
    return _mean(tf.nn.softplus(-fake_logits))


LOSSES = {
    "non_saturating": Loss(cross_entropy, non_saturating_generator),
    "minimax": Loss(cross_entropy, minimax_generator),
}
