"""DiffAugment: random changes of all samples that D sees, through which G's gradient flows.

Zhao et al., 2020, https://arxiv.org/abs/2006.10738. Ranges, rounding and order within a policy
are those of the authors' code. As there, what translation moves in and cutout covers is 0, which
is mid-grey in [-1, 1], not black; and colours may leave [-1, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import tensorflow as tf

Keys = list[tf.Tensor]  # one of each shard

_SHIFT = 1 / 8  # of each side: the largest translation
_CUTOUT = 1 / 2  # of each side: the side of the square


def augment(samples: tf.Tensor, policies: Sequence[str], keys: tf.Tensor) -> tf.Tensor:
    """Return changed samples, each in its own way.

    Color comes first, then translation, then cutout, however they are listed; a policy's random
    numbers do not depend on which others there are.

    Args:
        samples: (batch, height, width, channels) in [-1, 1], with a static shape; any float.
        policies: of color, translation and cutout.
        keys: of all the random numbers of each shard's part of the batch, (shards, 2).
    """
    changed = tf.cast(samples, tf.float32)  # sums of half precision pixels overflow
    of_policies = _split(tf.unstack(keys), len(_POLICIES))
    for (name, policy), policy_keys in zip(_POLICIES.items(), of_policies, strict=True):
        if name in policies:
            changed = policy(changed, policy_keys)
    return tf.cast(changed, samples.dtype)


def _color(samples: tf.Tensor, keys: Keys) -> tf.Tensor:
    """Change brightness, then saturation, then contrast."""
    brightness, saturation, contrast = _split(keys, 3)
    samples += _uniform(samples, brightness, -0.5, 0.5)
    grey = tf.reduce_mean(samples, axis=3, keepdims=True)
    samples = grey + (samples - grey) * _uniform(samples, saturation, 0.0, 2.0)
    mean = tf.reduce_mean(samples, axis=[1, 2, 3], keepdims=True)
    return mean + (samples - mean) * _uniform(samples, contrast, 0.5, 1.5)


def _translation(samples: tf.Tensor, keys: Keys) -> tf.Tensor:
    """Shift by whole pixels, up to 1/8 of each side, rounded."""
    for axis, axis_keys in zip((1, 2), _split(keys, 2), strict=True):
        side = samples.shape[axis]
        most = _rounded(side * _SHIFT)
        padded = tf.pad(samples, [[most, most] if a == axis else [0, 0] for a in range(4)])
        start = _integers(samples, axis_keys, 2 * most + 1)
        samples = tf.gather(padded, start + tf.range(side), axis=axis, batch_dims=1)
    return samples


def _cutout(samples: tf.Tensor, keys: Keys) -> tf.Tensor:
    """Set a square of half of each side to 0.

    Its centre is anywhere in the sample, and what lies outside is lost: a square that had to be
    inside would nearly always cover the sample's middle.
    """
    row_keys, column_keys = _split(keys, 2)
    rows = _covered(samples, row_keys, samples.shape[1])
    columns = _covered(samples, column_keys, samples.shape[2])
    square = tf.logical_and(rows[:, :, None, None], columns[:, None, :, None])
    return tf.where(square, 0.0, samples)


def _covered(samples: tf.Tensor, keys: Keys, side: int) -> tf.Tensor:
    """Return which rows, or columns, each sample's square covers, (batch, side), bool."""
    length = _rounded(side * _CUTOUT)
    # An even square's centre is between two pixels, so it has one place more.
    centre = _integers(samples, keys, side + 1 - length % 2)
    place = tf.range(side) - (centre - length // 2)
    return tf.logical_and(place >= 0, place < length)


def _split(keys: Keys, number: int) -> list[Keys]:
    """Return ``number`` keys of each shard's key, shard by shard."""
    of_shards = [tf.unstack(tf.random.split(key, number, alg="philox")) for key in keys]
    return [list(each) for each in zip(*of_shards, strict=True)]


def _integers(samples: tf.Tensor, keys: Keys, number: int) -> tf.Tensor:
    """Return one of 0 to number - 1 for each sample, (batch, 1), int32."""
    return _uniform(samples, keys, 0, number, tf.int32)[:, :, 0, 0]


def _uniform(
    samples: tf.Tensor, keys: Keys, low: float, high: float, dtype: tf.DType = tf.float32
) -> tf.Tensor:
    """Return a number for each sample, (batch, 1, 1, 1)."""
    shape = (samples.shape[0] // len(keys), 1, 1, 1)
    draw = partial(tf.random.stateless_uniform, shape, minval=low, maxval=high, dtype=dtype)
    return tf.concat([draw(seed=key, alg="philox") for key in keys], 0)


def _rounded(length: float) -> int:
    """Round half up, as the authors do; Python's ``round`` takes halves to even numbers."""
    return int(length + 0.5)


# In the order of their application.
_POLICIES = {"color": _color, "translation": _translation, "cutout": _cutout}
