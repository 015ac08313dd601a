"""The networks: ``build`` chooses the family, a module each.

A family's ``build(config, sample_shape)`` returns a generator, (batch, latent_dim) ->
(batch, *sample_shape) in [-1, 1], and a discriminator, (batch, *sample_shape) -> (batch, 1)
logits. Layers have names of their own, since a checkpoint calls its variables by them.
"""

from __future__ import annotations

from typing import NamedTuple

import keras

from hpcgan.config import ModelConfig
from hpcgan.gan.models import dcgan, mlp


class Networks(NamedTuple):
    """The two players."""

    generator: keras.Model
    discriminator: keras.Model


def build(config: ModelConfig, sample_shape: tuple[int, ...], seed: int) -> Networks:
    """Build the networks of ``config`` for samples of ``sample_shape``, channels last.

    Args:
        config: the family and its sizes.
        sample_shape: (H, W, C) or (D, H, W, C).
        seed: of the initial weights.

    Raises:
        ConfigError: the family cannot make samples of this shape.
    """
    family = {"mlp": mlp, "dcgan": dcgan}[config.name]
    keras.utils.set_random_seed(seed)
    return Networks(*family.build(config, sample_shape))
