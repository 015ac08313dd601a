"""Layers that Keras does not have, or that must know whose samples a batch holds."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import layers

from hpcgan.gan.models.spectral import SpectralConv2D

Shape = tuple[int | None, ...]


@keras.saving.register_keras_serializable("hpcgan")
class Dropout(layers.Dropout):
    """Dropout (Srivastava et al., 2014) whose masks are drawn for each shard's batch.

    Attributes:
        seeds: in training, one for each shard whose batch is in the batch, (shards, 2) int32;
            None for Keras' own.
    """

    seeds: tf.Tensor | None = None

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return the inputs, in training with ``rate`` of them set to 0 and the others scaled."""
        if not training or self.seeds is None:
            return super().call(inputs, training=training)
        of_shards = tf.split(inputs, self.seeds.shape[0])
        return tf.concat(
            [
                tf.nn.experimental.stateless_dropout(each, self.rate, seed)
                for each, seed in zip(of_shards, tf.unstack(self.seeds), strict=True)
            ],
            0,
        )


@keras.saving.register_keras_serializable("hpcgan")
class SelfAttention2D(keras.Layer):
    """Self-attention of a map of features; at the start, the identity.

    SAGAN, Zhang et al., 2019 (https://arxiv.org/abs/1805.08318), equations 1 to 3, with an
    eighth of the channels inside. As in its authors' code, keys and values are max-pooled, which
    makes the matrix of attention four times smaller.
    """

    def __init__(self, spectral: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spectral = spectral

    def get_config(self) -> dict[str, Any]:
        """Return what a saved model keeps of the layer."""
        return {**super().get_config(), "spectral": self.spectral}

    def build(self, input_shape: Shape) -> None:
        """Create the four 1x1 convolutions and the scalar gamma."""
        channels = input_shape[-1]
        assert channels is not None
        inside = max(1, channels // 8)
        make = SpectralConv2D if self.spectral else layers.Conv2D

        def convolution(name: str, filters: int, inputs: int) -> keras.Layer:
            layer = make(filters, 1, use_bias=False, dtype=self.dtype_policy, name=name)
            layer.build((*input_shape[:-1], inputs))
            return layer

        self.query = convolution("query", inside, channels)
        self.key = convolution("key", inside, channels)
        self.value = convolution("value", inside, channels)
        self.result = convolution("result", channels, inside)
        self.pool = layers.MaxPooling2D(padding="same", dtype=self.dtype_policy)
        self.gamma = self.add_weight(name="gamma", shape=(), initializer="zeros")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return (batch, H, W, channels)."""
        query = self.query(inputs)
        key, value = self.pool(self.key(inputs)), self.pool(self.value(inputs))
        inside = query.shape[-1]
        batch = tf.shape(inputs)[0]
        queries, keys, values = (tf.reshape(t, (batch, -1, inside)) for t in (query, key, value))
        scores = tf.cast(tf.matmul(queries, keys, transpose_b=True), tf.float32)
        weights = tf.cast(tf.nn.softmax(scores), self.compute_dtype)
        attended = tf.reshape(tf.matmul(weights, values), tf.shape(query))
        return inputs + tf.convert_to_tensor(self.gamma) * self.result(attended)


@keras.saving.register_keras_serializable("hpcgan")
class SumPooling2D(keras.Layer):
    """The sum over all pixels, in float32: for hundreds of them, 8 bits are too few."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return (batch, channels)."""
        return tf.reduce_sum(tf.cast(inputs, tf.float32), (1, 2))


def all_layers(model: keras.Model) -> list[keras.Layer]:
    """Return the layers of a model, those inside of others too, but not the model itself."""
    return list(model._flatten_layers(include_self=False))
