"""Networks of a family as the tests of families make and call them."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from hpcgan.config import ModelConfig
from hpcgan.gan.models import Networks

CLASSES = 3


def small(config: ModelConfig) -> ModelConfig:
    """Return the configuration of small networks."""
    return dataclasses.replace(config, width=4, latent_dim=3, classes=CLASSES)


def weights(model: keras.Model) -> dict[str, tuple[int, ...]]:
    """Return the shape of each weight by its name."""
    return {w.path.split("/", 1)[1]: tuple(w.shape) for w in model.trainable_variables}


def labels_of(config: ModelConfig, count: int) -> np.ndarray:
    """Return labels (count,) of the kind that the networks take."""
    if config.condition == "regression":
        return np.linspace(0.1, 1, count, dtype="float32")
    return np.arange(count, dtype="int32") % CLASSES


def outputs_of(
    config: ModelConfig, networks: Networks, batch: int
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Return a batch of samples, and the outputs of D for them, as in training."""

    def stateless(model: keras.Model, inputs: object) -> tf.Tensor | list[tf.Tensor]:
        states = (model.trainable_variables, model.non_trainable_variables)
        return model.stateless_call(*states, inputs, training=True)[0]

    latents = np.random.default_rng(0).normal(size=(batch, config.latent_dim)).astype("float32")
    labels = labels_of(config, batch)
    samples = stateless(
        networks.generator, latents if config.condition == "none" else [latents, labels]
    )
    given = [samples, labels] if config.condition == "projection" else samples
    outputs = stateless(networks.discriminator, given)
    return samples, outputs if isinstance(outputs, list) else [outputs]
