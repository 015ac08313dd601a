"""Networks for tests, as a user's own: small, with statistics in both."""

from __future__ import annotations

import keras
from keras import layers

from hpcgan.config import ModelConfig
from hpcgan.gan.models.layers import normalisation

Shape = tuple[int, ...]


def generator(config: ModelConfig, sample_shape: Shape) -> keras.Model:
    """Return G: dense, normalisation as configured, dense to the pixels."""
    latent = keras.Input((config.latent_dim,))
    x = layers.Dense(5, activation="tanh", name="dense")(latent)
    x = normalisation(config, "norm", None)(x)
    return keras.Model(latent, _pixels(sample_shape)(x))


def nested(config: ModelConfig, sample_shape: Shape) -> keras.Model:
    """Return the same, with its normalisation in a network in a layer."""
    latent = keras.Input((config.latent_dim,))
    x = layers.Dense(5, activation="tanh", name="dense")(latent)
    x = Wrapped(keras.Sequential([normalisation(config, "norm", None)], name="net"))(x)
    return keras.Model(latent, _pixels(sample_shape)(x))


def discriminator(config: ModelConfig, sample_shape: Shape) -> keras.Model:
    """Return D: dense, batch normalisation, dense to the logit."""
    sample = keras.Input(sample_shape)
    x = layers.Dense(4, activation="tanh", name="dense")(layers.Flatten()(sample))
    x = layers.BatchNormalization(momentum=0.9, name="norm")(x)
    return keras.Model(sample, layers.Dense(1, name="logit")(x))


class Wrapped(keras.Layer):
    """A layer that is a network."""

    def __init__(self, network: keras.Model) -> None:
        super().__init__(name="wrapped")
        self.network = network

    def call(self, x: keras.KerasTensor, training: bool | None = None) -> keras.KerasTensor:
        """Return what the network gives."""
        return self.network(x, training=training)


def _pixels(sample_shape: Shape) -> keras.Model:
    count = 1
    for side in sample_shape:
        count *= side
    return keras.Sequential(
        [layers.Dense(count, activation="tanh", name="pixels"), layers.Reshape(sample_shape)],
        name="sample",
    )
