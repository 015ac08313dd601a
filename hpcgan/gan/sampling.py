"""What a generator is given to make samples for people: the same on any number of ranks."""

from __future__ import annotations

from collections.abc import Sequence

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
