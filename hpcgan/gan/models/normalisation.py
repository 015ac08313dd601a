"""Batch normalisation over each shard's batch or over all ranks', and class-conditional scales.

Statistics are computed in float32. What a layer assigns are non-trainable variables alone, so that
``stateless_call`` returns them and nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from hpcgan.all_reduce import AllReduce
from hpcgan.config import ModelConfig
from hpcgan.gan.models.layers import all_layers

Shape = tuple[int | None, ...]

# With Keras' 0.99, runs of some hundred steps would sample with statistics of networks long gone.
_MOMENTUM = 0.9


@keras.saving.register_keras_serializable("hpcgan")
class BatchNormalization(layers.BatchNormalization):
    """Batch normalisation with the statistics of each shard's batch (Ioffe and Szegedy, 2015).

    Attributes:
        shards: whose batches, of one size, are in a batch in training, one after the other.

    Raises:
        ValueError: ``axis`` is another than -1, or ``renorm`` is given.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"momentum": _MOMENTUM, **kwargs})
        if self.axis != -1 or getattr(self, "renorm", False):
            raise ValueError("channels come last, and there is no renormalisation")
        self.shards = 1

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Return the normalised inputs, (shards * batch, ..., channels).

        The new moving statistics are means over the shards.
        """
        if not training or self.shards == 1:
            return super().call(inputs, training=training)
        return self._normalised(inputs, self.shards)

    def _normalised(self, inputs: tf.Tensor, parts: int) -> tf.Tensor:
        """Return ``parts`` batches, one after the other, each by its own statistics."""
        x = tf.reshape(tf.cast(inputs, tf.float32), (parts, -1, inputs.shape[-1]))
        mean, variance = self._statistics(x)
        for moving, of_parts in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(_moved(tf.convert_to_tensor(moving), tf.reduce_mean(of_parts, (0, 1))))
        gamma = None if self.gamma is None else tf.cast(self.gamma, tf.float32)
        beta = None if self.beta is None else tf.cast(self.beta, tf.float32)
        x = tf.nn.batch_normalization(x, mean, variance, beta, gamma, self.epsilon)
        return tf.cast(tf.reshape(x, tf.shape(inputs)), self.compute_dtype)

    def _statistics(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return mean and variance, (parts, 1, channels), of x (parts, n, channels)."""
        return tf.nn.moments(x, 1, keepdims=True)


@keras.saving.register_keras_serializable("hpcgan")
class SynchronisedBatchNormalization(BatchNormalization):
    """Batch normalisation whose statistics are those of all ranks' batches together.

    Sums and counts are added, not means, so that ranks may have batches of different sizes.

    Attributes:
        all_reduce: the sum over all ranks; None for this batch alone.
            A training call and its gradient make one all-reduce each, on every rank.
    """

    all_reduce: AllReduce | None = None

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Return the normalised inputs, (batch, ..., channels)."""
        if not training:
            return super().call(inputs, training=training)
        return self._normalised(inputs, 1)

    def _statistics(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return mean and variance over all ranks, (1, 1, channels), of x (1, n, channels)."""
        channels = x.shape[-1]
        count = tf.cast(tf.shape(x)[1:2], tf.float32)
        sums = [tf.reduce_sum(x, (0, 1)), tf.reduce_sum(tf.square(x), (0, 1)), count]
        both = tf.concat(sums, 0)
        if self.all_reduce is not None:
            both = _differentiable(self.all_reduce, both)
        total, squares, count = tf.split(both, [channels, channels, 1])
        mean = total / count
        # Rounding can make the difference of two large numbers negative.
        variance = tf.maximum(squares / count - tf.square(mean), 0.0)
        return mean[tf.newaxis, tf.newaxis], variance[tf.newaxis, tf.newaxis]


def synchronised(network: keras.Model) -> list[SynchronisedBatchNormalization]:
    """Return the layers that talk to other ranks, wherever in a network they are."""
    return [
        each for each in all_layers(network) if isinstance(each, SynchronisedBatchNormalization)
    ]


def _differentiable(all_reduce: AllReduce, vector: tf.Tensor) -> tf.Tensor:
    """Return ``all_reduce(vector)``, with the gradient of the sum of all ranks' losses."""

    @tf.custom_gradient
    def reduced(x: tf.Tensor) -> tuple[tf.Tensor, AllReduce]:
        return all_reduce(x), all_reduce

    return reduced(vector)


def _moved(old: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
    return old * _MOMENTUM + new * (1.0 - _MOMENTUM)


@keras.saving.register_keras_serializable("hpcgan")
class ConditionalScale(keras.Layer):
    """A scale and an offset of each channel for each class, after a normalisation without.

    Dumoulin et al., 2017 (https://arxiv.org/abs/1610.07629), equation 5; used in G by Miyato and
    Koyama, 2018.
    """

    def __init__(self, classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.classes = classes

    def get_config(self) -> dict[str, Any]:
        """Return what a saved model keeps of the layer."""
        return {**super().get_config(), "classes": self.classes}

    def build(self, input_shape: list[Shape]) -> None:
        """Create gamma and beta, (classes, channels) each."""
        shape = (self.classes, input_shape[0][-1])
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones")
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros")

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Return x * gamma[y] + beta[y] for [x (batch, ..., channels), y (batch,)]."""
        x, labels = inputs
        of_channels = (-1, *[1] * (len(x.shape) - 2), x.shape[-1])

        def chosen(table: keras.Variable) -> tf.Tensor:
            return tf.reshape(tf.gather(tf.convert_to_tensor(table), labels), of_channels)

        return x * chosen(self.gamma) + chosen(self.beta)

    def compute_output_shape(self, input_shape: list[Shape]) -> Shape:
        """Return the shape of x."""
        return input_shape[0]


def normalisation(
    config: ModelConfig, name: str, labels: keras.KerasTensor | None
) -> Callable[[keras.KerasTensor], keras.KerasTensor]:
    """Return what normalises a map of G's features: with class labels, a scale for each class."""
    make: dict[str, type[keras.Layer]] = {
        "batch": BatchNormalization,
        "synchronised": SynchronisedBatchNormalization,
    }
    plain = labels is None
    norm = make[config.normalisation](center=plain, scale=plain, name=name)
    if plain:
        return norm
    assert config.classes is not None
    conditional = ConditionalScale(config.classes, name=f"{name}_classes")
    return lambda x: conditional([norm(x), labels])
