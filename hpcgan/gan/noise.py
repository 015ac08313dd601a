"""Random numbers that depend on (seed, shard, step) alone, whatever rank draws them and when.

All come from TensorFlow's counter-based generator Philox (Salmon et al., 2011). A key is an
int32 or int64 tensor of shape (2,); ``fold_in`` and ``split`` make independent keys of one.
"""

from __future__ import annotations

import tensorflow as tf

# The first word of a key that comes from the seed: keys of two purposes never meet.
_TRAINING, _SAMPLING = 0, 1

# Latents are drawn in blocks of this many, so that sample i is the same in any batch.
BLOCK = 256


def shard_keys(seed: int, shards: range) -> tf.Tensor:
    """Return the key of each shard, shape (len(shards), 2)."""
    return tf.stack([tf.random.fold_in(tf.constant([_TRAINING, seed]), s) for s in shards])


def step_keys(shard_key: tf.Tensor, step: tf.Tensor, number: int) -> list[tf.Tensor]:
    """Return ``number`` independent keys of one shard's step."""
    return tf.unstack(tf.random.split(tf.random.fold_in(shard_key, step), number))


def latents(key: tf.Tensor, count: int, latent_dim: int) -> tf.Tensor:
    """Return standard normal latents, (count, latent_dim), float32."""
    return tf.random.stateless_normal((count, latent_dim), key, alg="philox")


def dropout_seed(key: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Return the state of a Keras seed generator, with the shape and dtype of ``like``."""
    return tf.cast(
        tf.random.stateless_uniform(like.shape, key, 0, 2**31 - 1, tf.int32, alg="philox"),
        like.dtype,
    )


def sampling_latents(seed: int, block: int, latent_dim: int) -> tf.Tensor:
    """Return latents number block * BLOCK to (block + 1) * BLOCK - 1 for sampling, (BLOCK, dim)."""
    key = tf.random.fold_in(tf.constant([_SAMPLING, seed]), block)
    return latents(key, BLOCK, latent_dim)
