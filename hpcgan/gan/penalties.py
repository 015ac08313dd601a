"""Penalties on the gradient of D's logit by its samples.

Both are called inside a tape that watches D's weights: their gradient is a second derivative.
They are of each sample's own gradient, which batch normalisation in D would mix with the others'.
The samples go to D as float32, whatever D computes in, so their gradients are float32 too. On
their way through a D in float16 small ones would become zero: so they are made ``scale`` times as
large there. It follows the losses' scale, which no fixed factor could replace: what overflows makes
the penalty infinite or no number, so that the update is left out and the scale halved.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

# From samples to logits of shape (batch, 1).
Critic = Callable[[tf.Tensor], tf.Tensor]

# Smallest square that a root is taken of: the root's slope at 0 is infinite.
_SMALLEST = 1e-12


def gradient_penalty(
    critic: Critic,
    real: tf.Tensor,
    fake: tf.Tensor,
    keys: tf.Tensor,
    scale: tf.Tensor | None = None,
) -> tf.Tensor:
    """Return the mean of (||grad critic(x)||_2 - 1)^2 between real and generated samples.

    Each x = real + e (fake - real) has its own e, uniform in [0, 1) (Gulrajani et al., 2017,
    algorithm 1).

    Args:
        critic: D, of samples.
        real: (batch, ...), with a static shape.
        fake: the same shape.
        keys: of the random e of each shard's part of the batch, (shards, 2).
        scale: of the gradients inside the critic, a scalar; None for 1.
    """
    real, fake = tf.cast(real, tf.float32), tf.cast(fake, tf.float32)
    shards = tf.unstack(keys)
    per_sample = (real.shape[0] // len(shards), *(1 for _ in real.shape[1:]))
    e = tf.concat([tf.random.stateless_uniform(per_sample, key, alg="philox") for key in shards], 0)
    squares = _squared_norms(critic, real + e * (fake - real), scale)
    # Where the norm is 0 its gradient is none; the maximum's is 0.
    norms = tf.sqrt(tf.maximum(squares, _SMALLEST))
    return tf.reduce_mean(tf.square(norms - 1.0))


def r1(critic: Critic, real: tf.Tensor, scale: tf.Tensor | None = None) -> tf.Tensor:
    """Return the mean of ||grad critic(x)||^2 / 2 at real samples, (batch, ...).

    Mescheder et al., 2018, equation 9, whose gamma is the weight of this penalty. ``scale`` is as
    in ``gradient_penalty``.
    """
    return tf.reduce_mean(_squared_norms(critic, tf.cast(real, tf.float32), scale)) / 2.0


def _squared_norms(critic: Critic, samples: tf.Tensor, scale: tf.Tensor | None) -> tf.Tensor:
    """Return the squared norm of the critic's gradient at each sample, (batch,), float32."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(samples)
        logits = critic(samples)
    # Of the sum of the logits: a sample changes its own only.
    scales = None if scale is None else tf.ones_like(logits) * tf.cast(scale, logits.dtype)
    gradient = tape.gradient(logits, samples, output_gradients=scales)
    if scale is not None:
        gradient /= scale
    return tf.reduce_sum(tf.square(gradient), axis=list(range(1, len(samples.shape))))
