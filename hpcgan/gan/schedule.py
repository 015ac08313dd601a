"""What changes with the step: the learning rate and the decay of the generator's average.

Each takes the number of updates made before as a scalar int64 tensor, so that one compiled update
serves all steps, and returns a scalar float32.
"""

from __future__ import annotations

import math
from typing import Literal

import tensorflow as tf

from hpcgan.gan.scaling_rule import Rule, rate_factor


def learning_rate(
    step: tf.Tensor,
    base: float | tf.Tensor,
    shards: int,
    scaling: Rule,
    warmup_steps: int,
    decay: Literal["none", "linear", "cosine"],
    steps: int,
) -> tf.Tensor:
    """Return the learning rate of the update after ``step`` others.

    Args:
        step: updates made before.
        base: the learning rate of one shard's batch.
        shards: batches in the global batch.
        scaling: of the rate with the shards (``scaling_rule``).
        warmup_steps: in the first of which the rate is 1 / warmup_steps of the whole, in the last
            the whole.
        decay: from the end of the warm-up to 0 at ``steps`` and beyond: none, linear, or cosine
            (Loshchilov and Hutter, 2017, equation 5, with one period and minimum 0).
        steps: of the run.
    """
    rate = base * rate_factor(scaling, shards) * _remaining(step, warmup_steps, decay, steps)
    if warmup_steps > 0:
        rate *= tf.minimum(1.0, tf.cast(step + 1, tf.float32) / float(warmup_steps))
    return rate


def _remaining(step: tf.Tensor, warmup_steps: int, decay: str, steps: int) -> tf.Tensor:
    """Return what the decay has left of the rate, from 1 to 0."""
    if decay == "none":
        return tf.constant(1.0)
    # Counted from the end, this is 0 there even if the warm-up takes the whole run.
    left = tf.cast(steps - step, tf.float32) / float(max(1, steps - warmup_steps))
    left = tf.clip_by_value(left, 0.0, 1.0)
    if decay == "linear":
        return left
    return (1.0 + tf.cos(math.pi * (1.0 - left))) / 2.0


def ema_decay(step: tf.Tensor, decay: float | tf.Tensor) -> tf.Tensor:
    """Return min(decay, (1 + step) / (10 + step)).

    At first the average then follows the weights closely instead of staying near the initial
    ones; as ``num_updates`` does in ``tf.train.ExponentialMovingAverage``.
    """
    made = tf.cast(step, tf.float32)
    return tf.minimum(decay, (1.0 + made) / (10.0 + made))


def ema_decay_of_images(
    step: tf.Tensor, per_step: int, half_life: float, ramp: float | None
) -> tf.Tensor:
    """Return 0.5^(images per step / half-life).

    With a ramp the half-life is at most that part of the images seen, those of this step among them
    (Karras et al., Training generative adversarial networks with limited data, 2020, whose code
    calls it ema_rampup).

    Args:
        step: updates made before.
        per_step: images of a step.
        half_life: in images.
        ramp: a part of the images seen; None for any half-life.
    """
    images = tf.constant(half_life)
    if ramp is not None:
        seen = tf.cast(step + 1, tf.float32) * float(per_step)
        images = tf.minimum(images, ramp * seen)
    return tf.pow(0.5, float(per_step) / images)
