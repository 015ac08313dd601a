"""The layers that Keras does not have, or has in a form that a stateless call cannot use.

Spectral normalisation, batch statistics over all ranks, class-conditional scales, self-attention
and sums. Each computes what is delicate (statistics, singular values, softmax) in float32. A layer
that assigns a variable assigns only non-trainable ones, so that ``stateless_call`` returns them
and nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from hpcgan.config import ModelConfig
from hpcgan.exchange import Exchange

Shape = tuple[int | None, ...]

# With Keras' 0.99, runs of some hundred steps would sample with statistics of networks long gone.
_MOMENTUM = 0.9
_EPSILON = 1e-3
_SMALLEST_SIGMA = 1e-12


def power_iteration(kernel: tf.Tensor, u: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return an estimate of the kernel's largest singular value, and the next ``u``.

    Algorithm 1 of Miyato et al., 2018 (https://arxiv.org/abs/1802.05957), where W is the kernel
    as a matrix (outputs, the rest). The gradient takes u and v as constants (equation 11).

    Args:
        kernel: (..., outputs) float32.
        u: (outputs,) float32, of about unit length.
    """
    transposed = tf.reshape(kernel, (-1, kernel.shape[-1]))
    fixed = tf.stop_gradient(transposed)
    v = tf.math.l2_normalize(tf.linalg.matvec(fixed, u))
    u = tf.math.l2_normalize(tf.linalg.matvec(fixed, v, transpose_a=True))
    return tf.tensordot(v, tf.linalg.matvec(transposed, u), 1), u


class _Spectral(keras.Layer):
    """Part of a layer whose weight is divided by its largest singular value."""

    def add_weight(self, *args: Any, **kwargs: Any) -> keras.Variable:
        """Add a variable that stays float32 under a mixed policy, for the division."""
        return super().add_weight(*args, **{**kwargs, "autocast": False})

    def _add_u(self, outputs: int) -> None:
        self.u = self.add_weight(
            name="u", shape=(outputs,), initializer=_unit_vector, trainable=False
        )

    def _divided(self, weight: keras.Variable, training: bool | None) -> tf.Tensor:
        """Return weight / sigma in the compute type; in training, ``u`` moves on."""
        value = tf.convert_to_tensor(weight)
        sigma, u = power_iteration(value, tf.convert_to_tensor(self.u))
        if training:
            self.u.assign(u)
        return tf.cast(value / tf.maximum(sigma, _SMALLEST_SIGMA), self.compute_dtype)


def _unit_vector(shape: tuple[int, ...], dtype: str | None = None) -> tf.Tensor:
    """Return a vector in a random direction, which ``keras.utils.set_random_seed`` decides."""
    return tf.math.l2_normalize(keras.initializers.RandomNormal()(shape, dtype))


class SpectralConv2D(_Spectral, layers.Conv2D):
    """A convolution with spectral normalisation."""

    def build(self, input_shape: Shape) -> None:
        """Create the weights and ``u``."""
        super().build(input_shape)
        self._add_u(self.filters)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Return (batch, H, W, filters)."""
        outputs = self.convolution_op(inputs, self._divided(self.kernel, training))
        if self.use_bias:
            outputs += tf.cast(self.bias, self.compute_dtype)
        return self.activation(outputs)


class SpectralDense(_Spectral, layers.Dense):
    """A dense layer with spectral normalisation."""

    def build(self, input_shape: Shape) -> None:
        """Create the weights and ``u``."""
        super().build(input_shape)
        self._add_u(self.units)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Return (..., units)."""
        outputs = keras.ops.matmul(inputs, self._divided(self.kernel, training))
        if self.use_bias:
            outputs += tf.cast(self.bias, self.compute_dtype)
        return self.activation(outputs)


class SpectralEmbedding(_Spectral, layers.Embedding):
    """An embedding with spectral normalisation."""

    def build(self, input_shape: Shape | None = None) -> None:
        """Create the vectors and ``u``."""
        super().build(input_shape)
        self._add_u(self.output_dim)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Return (*inputs.shape, output_dim)."""
        return tf.gather(self._divided(self.embeddings, training), inputs)


class SynchronisedBatchNormalization(keras.Layer):
    """Batch normalisation whose statistics are those of all ranks' batches together.

    Sums and counts are exchanged, not means, so that ranks may have batches of different sizes.
    Variables, defaults and inference are those of ``keras.layers.BatchNormalization``.

    Attributes:
        exchange: the sum over all ranks; None for this batch alone.
            A training call and its gradient make one exchange each, on every rank.
    """

    def __init__(self, center: bool = True, scale: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.center = center
        self.scale = scale
        self.exchange: Exchange | None = None

    def build(self, input_shape: Shape) -> None:
        """Create the variables, (channels,) each."""

        def add(name: str, initializer: str, trainable: bool) -> keras.Variable:
            return self.add_weight(
                name=name,
                shape=input_shape[-1:],
                initializer=initializer,
                trainable=trainable,
                autocast=False,
            )

        self.gamma = add("gamma", "ones", True) if self.scale else None
        self.beta = add("beta", "zeros", True) if self.center else None
        self.moving_mean = add("moving_mean", "zeros", False)
        self.moving_variance = add("moving_variance", "ones", False)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Return the normalised inputs, (batch, ..., channels)."""
        x = tf.cast(inputs, tf.float32)
        mean = tf.convert_to_tensor(self.moving_mean)
        variance = tf.convert_to_tensor(self.moving_variance)
        if training:
            old_mean, old_variance = mean, variance
            mean, variance = self._moments(x)
            self.moving_mean.assign(_moved(old_mean, mean))
            self.moving_variance.assign(_moved(old_variance, variance))
        factor = tf.math.rsqrt(variance + _EPSILON)
        if self.gamma is not None:
            factor *= tf.convert_to_tensor(self.gamma)
        x = (x - mean) * factor
        if self.beta is not None:
            x += tf.convert_to_tensor(self.beta)
        return tf.cast(x, self.compute_dtype)

    def _moments(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return mean and variance of each channel over all ranks."""
        channels = x.shape[-1]
        x = tf.reshape(x, (-1, channels))
        count = tf.cast(tf.shape(x)[:1], tf.float32)
        sums = tf.concat([tf.reduce_sum(x, 0), tf.reduce_sum(tf.square(x), 0), count], 0)
        if self.exchange is not None:
            sums = _differentiable(self.exchange, sums)
        total, squares, count = tf.split(sums, [channels, channels, 1])
        mean = total / count
        # Rounding can make the difference of two large numbers negative.
        return mean, tf.maximum(squares / count - tf.square(mean), 0.0)


def synchronised(network: keras.Model) -> list[SynchronisedBatchNormalization]:
    """Return the layers that talk to other ranks, wherever in a network they are."""
    layers = network._flatten_layers(include_self=False)  # those inside others, too
    return [each for each in layers if isinstance(each, SynchronisedBatchNormalization)]


def _differentiable(exchange: Exchange, vector: tf.Tensor) -> tf.Tensor:
    """Return ``exchange(vector)``, with the gradient of the sum of all ranks' losses."""

    @tf.custom_gradient
    def exchanged(x: tf.Tensor) -> tuple[tf.Tensor, Exchange]:
        return exchange(x), exchange

    return exchanged(vector)


def _moved(old: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
    return old * _MOMENTUM + new * (1.0 - _MOMENTUM)


class ConditionalScale(keras.Layer):
    """A scale and an offset of each channel for each class, after a normalisation without.

    Dumoulin et al., 2017 (https://arxiv.org/abs/1610.07629), equation 5; used in G by Miyato and
    Koyama, 2018.
    """

    def __init__(self, classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.classes = classes

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


class SelfAttention2D(keras.Layer):
    """Self-attention of a map of features; at the start, the identity.

    SAGAN, Zhang et al., 2019 (https://arxiv.org/abs/1805.08318), equations 1 to 3, with an
    eighth of the channels inside. As in its authors' code, keys and values are max-pooled, which
    makes the matrix of attention four times smaller.
    """

    def __init__(self, spectral: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spectral = spectral

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

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Return (batch, H, W, channels)."""

        def apply(layer: keras.Layer) -> tf.Tensor:
            return layer(inputs, training=training) if self.spectral else layer(inputs)

        query = apply(self.query)
        key, value = self.pool(apply(self.key)), self.pool(apply(self.value))
        inside = query.shape[-1]
        batch = tf.shape(inputs)[0]
        queries, keys, values = (tf.reshape(t, (batch, -1, inside)) for t in (query, key, value))
        scores = tf.cast(tf.matmul(queries, keys, transpose_b=True), tf.float32)
        weights = tf.cast(tf.nn.softmax(scores), self.compute_dtype)
        attended = tf.reshape(tf.matmul(weights, values), tf.shape(query))
        arguments = {"training": training} if self.spectral else {}
        return inputs + tf.convert_to_tensor(self.gamma) * self.result(attended, **arguments)


class SumPooling2D(keras.Layer):
    """The sum over all pixels, in float32: for hundreds of them, 8 bits are too few."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return (batch, channels)."""
        return tf.reduce_sum(tf.cast(inputs, tf.float32), (1, 2))


def normalisation(
    config: ModelConfig, name: str, labels: keras.KerasTensor | None
) -> Callable[[keras.KerasTensor], keras.KerasTensor]:
    """Return what normalises a map of G's features: with class labels, a scale for each class."""
    make = {"batch": _batch_normalisation, "synchronised": SynchronisedBatchNormalization}
    plain = labels is None
    norm = make[config.normalisation](center=plain, scale=plain, name=name)
    if plain:
        return norm
    assert config.classes is not None
    conditional = ConditionalScale(config.classes, name=f"{name}_classes")
    return lambda x: conditional([norm(x), labels])


def _batch_normalisation(**kwargs: Any) -> keras.Layer:
    return layers.BatchNormalization(momentum=_MOMENTUM, epsilon=_EPSILON, **kwargs)
