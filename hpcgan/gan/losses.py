"""Value functions of the game, on logits, and the losses of the guesses of labels.

With D's logit l, the probability that a sample is real is sigmoid(l); log sigmoid(l) is
-softplus(-l) and log(1 - sigmoid(l)) is -softplus(l), which neither overflow nor lose digits.
Each function takes logits of shape (batch, 1) and returns a float32 scalar: the batch's mean.
Logits may be half precision; all is computed in float32, as squares and sums of halves overflow.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import tensorflow as tf


class Loss(NamedTuple):
    """What D minimises, given its logits of real and generated samples, and what G does."""

    discriminator: Callable[..., tf.Tensor]
    generator: Callable[[tf.Tensor], tf.Tensor]


def _float32(values: tf.Tensor) -> tf.Tensor:
    return tf.cast(values, tf.float32)


def cross_entropy(
    real_logits: tf.Tensor, fake_logits: tf.Tensor, smoothing: float | tf.Tensor | None = None
) -> tf.Tensor:
    """Return -E[log D(x)] - E[log(1 - D(G(z)))] (Goodfellow et al., 2014, equation 1).

    With one-sided label smoothing s (Salimans et al., 2016, section 3.4) the first term is the
    cross entropy with the target 1 - s: -E[(1 - s) log D(x) + s log(1 - D(x))].
    """
    real = _float32(real_logits)
    of_real = tf.nn.softplus(-real)
    if smoothing is not None:
        of_real = (1.0 - smoothing) * of_real + smoothing * tf.nn.softplus(real)
    return tf.reduce_mean(of_real) + tf.reduce_mean(tf.nn.softplus(_float32(fake_logits)))


def minimax_generator(fake_logits: tf.Tensor) -> tf.Tensor:
    """Return E[log(1 - D(G(z)))] (Goodfellow et al., 2014, equation 1)."""
    return -tf.reduce_mean(tf.nn.softplus(_float32(fake_logits)))


def non_saturating_generator(fake_logits: tf.Tensor) -> tf.Tensor:
    """Return -E[log D(G(z))] (Goodfellow et al., 2014, section 3)."""
    return tf.reduce_mean(tf.nn.softplus(-_float32(fake_logits)))


def hinge(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """Return E[max(0, 1 - l(x))] + E[max(0, 1 + l(G(z)))].

    Lim and Ye, 2017; Miyato et al., 2018, equation 16.
    """
    of_real = tf.nn.relu(1.0 - _float32(real_logits))
    of_fake = tf.nn.relu(1.0 + _float32(fake_logits))
    return tf.reduce_mean(of_real) + tf.reduce_mean(of_fake)


def wasserstein(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """Return E[l(G(z))] - E[l(x)] (Arjovsky et al., 2017, equation 3, negated)."""
    return tf.reduce_mean(_float32(fake_logits)) - tf.reduce_mean(_float32(real_logits))


def linear_generator(fake_logits: tf.Tensor) -> tf.Tensor:
    """Return -E[l(G(z))], of hinge (Miyato et al., equation 17) and wasserstein."""
    return -tf.reduce_mean(_float32(fake_logits))


def least_squares(
    real_logits: tf.Tensor, fake_logits: tf.Tensor, smoothing: float | tf.Tensor | None = None
) -> tf.Tensor:
    """Return E[(l(x) - b)^2] / 2 + E[(l(G(z)) - a)^2] / 2 (Mao et al., 2017, equation 2).

    The targets are a = 0 and b = 1, less the smoothing.
    """
    target = 1.0 if smoothing is None else 1.0 - smoothing
    of_real = tf.square(_float32(real_logits) - target)
    of_fake = tf.square(_float32(fake_logits))
    return (tf.reduce_mean(of_real) + tf.reduce_mean(of_fake)) / 2.0


def least_squares_generator(fake_logits: tf.Tensor) -> tf.Tensor:
    """Return E[(l(G(z)) - c)^2] / 2 with the target c = 1 (Mao et al., 2017, equation 2)."""
    return tf.reduce_mean(tf.square(_float32(fake_logits) - 1.0)) / 2.0


# Without label smoothing.
LOSSES = {
    "non_saturating": Loss(cross_entropy, non_saturating_generator),
    "minimax": Loss(cross_entropy, minimax_generator),
    "hinge": Loss(hinge, linear_generator),
    "wasserstein": Loss(wasserstein, linear_generator),
    "least_squares": Loss(least_squares, least_squares_generator),
}


def make_loss(name: str, smoothing: float | tf.Tensor | None = None) -> Loss:
    """Return the game's value function of some name, with label smoothing, without penalties."""
    loss = LOSSES[name]
    if smoothing is None:
        return loss
    return loss._replace(discriminator=partial(loss.discriminator, smoothing=smoothing))


def auxiliary_classes(class_logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Return the mean cross entropy of guessed classes (Odena et al., 2017, equation 3).

    ``class_logits`` are (batch, classes); ``labels`` are (batch,), integers from 0.
    """
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=_float32(class_logits))
    )


def auxiliary_regression(guess: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """Return the mean absolute error of guesses of real labels, of K values in the mean.

    Guesses are (batch, 1) of labels (batch,), or both are (batch, K).
    """
    # As they are, the difference of (batch, 1) and (batch,) would be (batch, batch).
    value = tf.reshape(_float32(value), tf.shape(guess))
    return tf.reduce_mean(tf.abs(_float32(guess) - value))
