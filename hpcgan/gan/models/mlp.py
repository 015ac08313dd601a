"""Multilayer perceptrons: two hidden layers of 128 for each network."""

from __future__ import annotations

import math

import keras
from keras import layers

from hpcgan.config import ModelConfig

_HIDDEN = 128


def build(config: ModelConfig, sample_shape: tuple[int, ...]) -> tuple[keras.Model, keras.Model]:
    """Return G, latent - 128 - 128 - pixels (tanh), and D, pixels - 128 - 128 - 1."""
    generator = keras.Sequential(
        [
            keras.Input((config.latent_dim,)),
            *_hidden_layers(),
            layers.Dense(math.prod(sample_shape), name="pixels"),
            layers.Reshape(sample_shape, name="sample"),
            layers.Activation("tanh", dtype="float32", name="tanh"),
        ],
        name="generator",
    )
    discriminator = keras.Sequential(
        [
            keras.Input(sample_shape),
            layers.Flatten(name="pixels"),
            *_hidden_layers(),
            layers.Dense(1, dtype="float32", name="logit"),
        ],
        name="discriminator",
    )
    return generator, discriminator


def _hidden_layers() -> list[keras.Layer]:
    """Return the two hidden layers with their leaky ReLUs."""
    return [
        layer
        for number in (1, 2)
        for layer in (
            layers.Dense(_HIDDEN, name=f"hidden_{number}"),
            layers.LeakyReLU(negative_slope=0.2, name=f"leaky_{number}"),
        )
    ]
