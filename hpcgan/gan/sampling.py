"""What a generator is given to make samples for people: the same on any number of ranks."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from hpcgan.config import ModelConfig
from hpcgan.gan import conditions, noise


def sampling_inputs(
    model: ModelConfig, seed: int, block: int, label: float | None = None
) -> tuple[tf.Tensor | list[tf.Tensor], np.ndarray | None]:
    """Return G's inputs for the samples of a block, and their labels as they are in the data.

    Sample i is in block i // noise.BLOCK. All get the ``label``; None is for classes in turn, or
    values in the range of the data. ``model`` is resolved.

    Returns:
        Latents (BLOCK, latent_dim), or a list of them and the labels for G, (BLOCK,); the labels,
        (BLOCK,), or None for networks without.
    """
    latents = noise.sampling_latents(seed, block, model.latent_dim)
    if model.condition == "none":
        return latents, None
    values = np.array(noise.sampling_values(seed, block))
    labels = conditions.for_sampling(model, block * noise.BLOCK, values)
    if label is not None:
        labels = np.full_like(labels, label)
    return [latents, tf.constant(conditions.as_input(model, labels))], labels
