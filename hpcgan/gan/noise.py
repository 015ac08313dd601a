"""Random numbers that depend on (seed, shard, step) alone, whatever rank draws them and when.

All come from TensorFlow's counter-based generator Philox (Salmon et al., 2011). A key is an
int32 or int64 tensor of shape (2,), and any two that differ give independent numbers. Those of
training are (stream, number): each shard has a stream, a random number of 64 bits, and counts what
it draws. So a key costs nothing in the compiled update, where ``fold_in`` takes 3% of a small one.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import keras
import tensorflow as tf

from hpcgan.blocks import BLOCK

# The first word of a key that comes from the seed: keys of two purposes never meet.
_TRAINING, _SAMPLING, _LABELS = 0, 1, 2

# A Python int, or an int64 scalar of a compiled function.
Number: TypeAlias = int | tf.Tensor

# Random operations take their seeds from the processor: made on a GPU, they would be waited for.
SEEDS_ON = "CPU:0"


def streams(seed: int, batches: int, shards: range) -> tf.Tensor:
    """Return the stream of each shard, (len(shards),), int64.

    Args:
        seed: of the run.
        batches: of a step, by which a stream's keys are counted: a run that goes on with another
            number counts in other streams, so that it draws nothing twice.
        shards: the numbers of the shards.
    """
    key = tf.random.fold_in(tf.constant([_TRAINING, seed]), batches)
    return tf.stack([_number_of(tf.random.fold_in(key, shard)) for shard in shards])


class Keys(NamedTuple):
    """The keys of one batch of some shards, (shards, 2) int64 each, one for each purpose.

    No two purposes share a key, and so no random number.
    """

    latents: tf.Tensor
    generator: tf.Tensor  # random layers of G
    real: tf.Tensor  # random layers of D, on real samples
    fake: tf.Tensor  # the same, on generated ones
    augment_real: tf.Tensor
    augment_fake: tf.Tensor
    penalty: tf.Tensor  # where the gradient penalty looks
    penalised: tf.Tensor  # random layers of D, there
    r1: tf.Tensor  # the same, on the real samples of r1


def batch_keys(streams: tf.Tensor, step: tf.Tensor, batch: tf.Tensor | int, batches: int) -> Keys:
    """Return the keys of one of the batches that go through the networks in a step.

    Args:
        streams: of the shards, (shards,), of ``streams``.
        step: updates made before, int64.
        batch: number of the batch, or part of one, within the step.
        batches: how many there are in each step.
    """
    purposes = len(Keys._fields)
    with tf.device(SEEDS_ON):
        first = (step * batches + tf.cast(batch, tf.int64)) * purposes
        numbers = (tf.fill(streams.shape, first + purpose) for purpose in range(purposes))
        return Keys(*(tf.stack([streams, number], axis=1) for number in numbers))


def latents(keys: tf.Tensor, count: int, latent_dim: int) -> tf.Tensor:
    """Return standard normal latents, ``count`` for each key, (shards * count, latent_dim) float32.

    Each two of them come from two uniform numbers (Box and Muller, 1958). TensorFlow's own normal
    numbers are made in the same way, but one by one: they take twice as long.

    Args:
        keys: (shards, 2).
        count: of each shard.
        latent_dim: length of a latent.
    """
    number = count * latent_dim
    first, second = tf.unstack(_uniform(keys, (2, math.ceil(number / 2))), axis=1)
    radius = tf.sqrt(-2.0 * tf.math.log(1.0 - first))  # of numbers above 0, up to 1
    angle = 2.0 * math.pi * second
    normal = tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], 1)
    return tf.reshape(normal[:, :number], (-1, latent_dim))


def dropout_seeds(keys: tf.Tensor, layers: int) -> list[tf.Tensor]:
    """Return states of Keras' seed generators, one of (shards, 2) int32 for each random layer.

    Args:
        keys: (shards, 2).
        layers: number of random layers.
    """
    if not layers:
        return []
    of_shards = []
    with tf.device(SEEDS_ON):
        for key in tf.unstack(keys):
            split = tf.unstack(tf.random.split(key, layers))
            of_shards.append([_seed(each) for each in split])
        return [tf.stack(seeds) for seeds in zip(*of_shards, strict=True)]


def _seed(key: tf.Tensor) -> tf.Tensor:
    return tf.random.stateless_uniform((2,), key, 0, 2**31 - 1, tf.int32, alg="philox")


def is_seed(variable: keras.Variable) -> bool:
    """Return whether a variable is the state of a random layer's seed generator."""
    return variable.path.endswith("seed_generator_state")


def sampling_latents(seed: Number, block: Number, latent_dim: int) -> tf.Tensor:
    """Return latents number block * BLOCK to (block + 1) * BLOCK - 1 for sampling, (BLOCK, dim).

    So sample i is the same in any batch.
    """
    return latents(_block_key(_SAMPLING, seed, block)[tf.newaxis], BLOCK, latent_dim)


def sampling_values(seed: Number, block: Number, number: int | None = None) -> tf.Tensor:
    """Return numbers between 0 and 1 for the labels of ``sampling_latents``.

    They are (BLOCK,), or (BLOCK, number) for labels of a number of values, the first the same.
    """
    key = _block_key(_LABELS, seed, block)
    keys = [key, *(tf.random.fold_in(key, further) for further in range(1, number or 1))]
    drawn = [tf.random.stateless_uniform((BLOCK,), each, alg="philox") for each in keys]
    return drawn[0] if number is None else tf.stack(drawn, axis=1)


def _block_key(purpose: int, seed: Number, block: Number) -> tf.Tensor:
    """Return the key of a block of samples for a purpose, (2,) int64."""
    key = tf.stack([tf.constant(purpose, tf.int64), tf.cast(seed, tf.int64)])
    block = tf.cast(block, tf.int64)
    # Numbers that fit into 32 bits are folded in as such: so a Python int is.
    small = tf.cast(tf.random.fold_in(key, tf.cast(block, tf.int32)), tf.int64)
    return tf.where(block < 2**31, small, tf.random.fold_in(key, block))


def _uniform(keys: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    """Return numbers from 0 to less than 1, (shards, *shape) float32, for keys (shards, 2).

    The first word of a key is Philox' own key, the second the upper half of its counter, whose
    lower half counts the numbers. ``tf.random.stateless_uniform`` would draw both from the key
    first, by fifteen small operations.
    """
    streams, numbers = tf.split(tf.cast(keys, tf.int64), 2, axis=1)
    counters = tf.concat([tf.zeros_like(numbers), numbers], 1)
    of_shards = zip(
        tf.unstack(tf.bitcast(streams, tf.uint64)),
        tf.unstack(tf.bitcast(counters, tf.uint64)),
        strict=True,
    )
    return tf.stack(
        [
            tf.raw_ops.StatelessRandomUniformV2(
                shape=shape,
                key=key,
                counter=counter,
                alg=tf.random.Algorithm.PHILOX.value,
                dtype=tf.float32,
            )
            for key, counter in of_shards
        ]
    )


def _number_of(key: tf.Tensor) -> tf.Tensor:
    """Return a random number of 64 bits, scalar int64."""
    return tf.random.stateless_uniform((), key, None, None, tf.int64, alg="philox")
