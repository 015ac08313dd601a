"""What a generator is given to make samples for people: the same on any number of ranks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from hpcgan.blocks import BLOCK
from hpcgan.config import ModelConfig
from hpcgan.gan import conditions, noise
from hpcgan.gan.conditions import Draw


def sampling_inputs(
    model: ModelConfig,
    seed: int,
    block: int,
    counts: Sequence[int] = (),
    draw: Draw = "turn",
    label: np.ndarray | None = None,
) -> tuple[tf.Tensor | list[tf.Tensor], np.ndarray | None]:
    """Return G's inputs for the samples of a block, and their labels as they are in the data.

    Sample i is in block i // BLOCK. All get the ``label``; without, they get those of
    ``conditions.for_sampling``, which ``counts`` and ``draw`` are for. ``model`` is resolved.

    Returns:
        Latents (BLOCK, latent_dim), or a list of them and the labels for G, (BLOCK,) or (BLOCK, K);
        the labels, in the same shape, or None for networks without.
    """
    latents = noise.sampling_latents(seed, block, model.latent_dim)
    if model.condition == "none":
        return latents, None
    shape = conditions.label_shape(model)
    values = np.array(noise.sampling_values(seed, block, *shape))
    labels = conditions.for_sampling(model, block * BLOCK, values, counts, draw)
    if label is not None:
        labels[:] = label
    return [latents, tf.constant(conditions.as_input(model, labels))], labels


def block_maker(
    network: keras.Model, model: ModelConfig, parallel: int
) -> Callable[..., tf.Tensor]:
    """Return a compiled function that makes the samples of several blocks in one call.

    A network sees one block at a time, always in the same shape: a matrix product or convolution of
    another shape would be rounded differently.

    Args:
        network: G.
        model: its configuration, resolved.
        parallel: blocks that are computed side by side.

    Returns:
        A function of the seed, int64, the numbers of the blocks, (n,) int64, and, for networks with
        labels, these as the networks take them, (n, BLOCK) or (n, BLOCK, K). It returns the
        samples, (n * BLOCK, *sample_shape) float32.
    """

    @tf.function(input_signature=_signature(model))
    def make(seed: tf.Tensor, *of_blocks: tf.Tensor) -> tf.Tensor:
        def one(of_block: tuple[tf.Tensor, ...]) -> tf.Tensor:
            block, *labels = of_block
            latents = noise.sampling_latents(seed, block, model.latent_dim)
            made = network([latents, *labels] if labels else latents, training=False)
            return tf.cast(made, tf.float32)

        made = tf.map_fn(
            one, of_blocks, fn_output_signature=tf.float32, parallel_iterations=parallel
        )
        return tf.reshape(made, (-1, *network.outputs[0].shape[1:]))

    return make


def _signature(model: ModelConfig) -> list[tf.TensorSpec]:
    """Return the shapes and dtypes of what makes some blocks: the seed, numbers and labels."""
    seed_and_numbers = [tf.TensorSpec((), tf.int64), tf.TensorSpec((None,), tf.int64)]
    if model.condition == "none":
        return seed_and_numbers
    dtype = tf.float32 if model.condition == "regression" else tf.int32
    return [*seed_and_numbers, tf.TensorSpec((None, BLOCK, *conditions.label_shape(model)), dtype)]


def value_maker(model: ModelConfig) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Return ``sampling_values``, compiled, as a function of the seed and the numbers of n blocks.

    They are (n * BLOCK,), or (n * BLOCK, K) for labels of K values.
    """
    shape = conditions.label_shape(model)

    @tf.function(input_signature=[tf.TensorSpec((), tf.int64), tf.TensorSpec((None,), tf.int64)])
    def make(seed: tf.Tensor, blocks: tf.Tensor) -> tf.Tensor:
        drawn = tf.map_fn(
            lambda block: noise.sampling_values(seed, block, *shape),
            blocks,
            fn_output_signature=tf.float32,
        )
        return tf.reshape(drawn, (-1, *shape))

    return make
