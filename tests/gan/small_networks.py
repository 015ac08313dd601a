"""Networks for tests, as a user's own: small, with labels and statistics in both."""

from __future__ import annotations

import math

import keras
from keras import layers

from hpcgan.config import ModelConfig
from hpcgan.gan.models.normalisation import normalisation

Shape = tuple[int, ...]


def generator(config: ModelConfig, sample_shape: Shape) -> keras.Model:
    """Return G: dense beside the label, normalisation as configured, dense to the pixels."""
    return _generator(config, sample_shape, normalisation(config, "norm", None))


def nested(config: ModelConfig, sample_shape: Shape) -> keras.Model:
    """Return the same, with its normalisation in a network."""
    inside = keras.Sequential([normalisation(config, "norm", None)], name="net")
    return _generator(config, sample_shape, inside)


def wrapped(config: ModelConfig, sample_shape: Shape) -> keras.Model:
    """Return the same, with its normalisation in a network in a layer."""
    inside = keras.Sequential([normalisation(config, "norm", None)], name="net")
    return _generator(config, sample_shape, Wrapped(inside))


def discriminator(config: ModelConfig, sample_shape: Shape) -> keras.Model:
    """Return D: dense beside the label, Keras' batch normalisation, dense to the logit."""
    sample, labels = keras.Input(sample_shape), keras.Input((), dtype="int32")
    x = _beside(config, layers.Dense(4, name="dense")(layers.Flatten()(sample)), labels)
    x = layers.BatchNormalization(momentum=0.9, name="norm")(x)
    return keras.Model([sample, labels], layers.Dense(1, name="logit")(x))


def _generator(config: ModelConfig, sample_shape: Shape, norm: keras.Layer) -> keras.Model:
    latent, labels = keras.Input((config.latent_dim,)), keras.Input((), dtype="int32")
    x = norm(_beside(config, layers.Dense(5, name="dense")(latent), labels))
    x = layers.Dense(math.prod(sample_shape), activation="tanh", name="pixels")(x)
    return keras.Model([latent, labels], layers.Reshape(sample_shape, name="sample")(x))


def _beside(
    config: ModelConfig, x: keras.KerasTensor, labels: keras.KerasTensor
) -> keras.KerasTensor:
    table = layers.Embedding(config.classes, x.shape[-1], "normal", name="table")
    return layers.Activation("tanh")(layers.Add()([x, table(labels)]))


class Wrapped(keras.Layer):
    """A layer that is a network."""

    def __init__(self, network: keras.Model) -> None:
        super().__init__(name="wrapped")
        self.network = network

    def call(self, x: keras.KerasTensor, training: bool | None = None) -> keras.KerasTensor:
        """Return what the network gives."""
        return self.network(x, training=training)
