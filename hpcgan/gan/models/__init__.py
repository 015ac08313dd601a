"""The networks: ``build`` chooses the family, a module each, or the user's own.

A family's ``build(config, sample_shape)`` returns a generator and a discriminator.

- G maps latent (batch, latent_dim), or with a condition [latent, labels (batch,)], to
  (batch, *sample_shape), in [-1, 1]; showers, of volume with regression, are not negative.
  Labels of K > 1 real values are (batch, K).
- D maps (batch, *sample_shape), or with condition projection [samples, labels], to logits
  (batch, 1); with auxiliary to [logits, logits of the classes (batch, classes)], with
  regression to [logits, guesses (batch, 1) or (batch, K)].

Labels of classes are int32, real ones float32; outputs are float32 under any dtype policy, which
the caller sets. Layers have names of their own, since a checkpoint calls its variables by them.
"""

from __future__ import annotations

from typing import NamedTuple

import keras

from hpcgan.config import ModelConfig
from hpcgan.gan.models import dcgan, mlp, own, resnet, volume

_FAMILIES = {"mlp": mlp, "dcgan": dcgan, "resnet": resnet, "volume": volume}


class Networks(NamedTuple):
    """The two players."""

    generator: keras.Model
    discriminator: keras.Model


def build(config: ModelConfig, sample_shape: tuple[int, ...], seed: int) -> Networks:
    """Build the networks of ``config``, with initial weights of ``seed``.

    Samples are (H, W, C) or (D, H, W, C); ``config`` has ``classes`` where they are needed.

    Raises:
        ConfigError: the family cannot make samples of this shape, or the user's own networks do
            not fit.
    """
    keras.utils.set_random_seed(seed)
    if config.generator and config.discriminator:
        return Networks(
            own.generator(config, sample_shape), own.discriminator(config, sample_shape)
        )
    networks = Networks(*_FAMILIES[config.name].build(config, sample_shape))
    if config.generator:
        return networks._replace(generator=own.generator(config, sample_shape))
    if config.discriminator:
        return networks._replace(discriminator=own.discriminator(config, sample_shape))
    return networks
