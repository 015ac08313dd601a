"""3-D convolutions for volumes, such as the energies that a particle leaves in a calorimeter.

After CERN's 3DGAN (Khattak et al., Eur. Phys. J. C 82, 386 (2022), arXiv:2109.07388): G sees the
particle's energy beside its latent vector; D judges the shower, guesses the energy and is given
sums of the shower's cells. Of labels of K values, such as energy and angle, the first is the
energy; G sees the others beside it, and D guesses all.

There are as many levels as halve the longest side to 7 or less; level 0 has the sample's size and
``width`` channels, and each coarser level has twice as many, up to 8 times ``width``. At 12x12x12
and width 8, G is dense 6x6x6x16 - 12x12x12x8 - 12x12x12xC and D is 12x12x12x8 - 6x6x6x16 - 1.
"""

from __future__ import annotations

import math

import keras
import tensorflow as tf
from keras import layers

from hpcgan.config import ModelConfig
from hpcgan.gan import conditions
from hpcgan.gan.models import parts
from hpcgan.gan.models.layers import Dropout
from hpcgan.gan.models.normalisation import normalisation

_KERNEL = 4  # a multiple of the stride: each cell is reached by as many weights
_DROPOUT = 0.3
# softplus(-4) = 0.018: most cells of a shower hold little of it.
_FIRST_BIAS = -4.0
# The root's slope at 0 is 1 / (2 * 0.01), not infinite, which a gradient would not survive.
_ROOT_OFFSET = 1e-4
_SMALLEST_ENERGY = 1e-6


@keras.saving.register_keras_serializable("hpcgan")
class WithEnergy(keras.Layer):
    """The latent vectors with their energies, the logarithms of these, and further values.

    The depth of a shower's maximum grows with the logarithm.
    """

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Return (batch, latent_dim + 1 + K)."""
        latent, labels = inputs
        values = labels if len(labels.shape) == 2 else labels[:, tf.newaxis]
        energy, others = values[:, :1], values[:, 1:]
        logarithm = tf.math.log(tf.maximum(energy, _SMALLEST_ENERGY))
        return tf.concat([latent, energy, logarithm, others], 1)


@keras.saving.register_keras_serializable("hpcgan")
class Energies(keras.Layer):
    """The energies of labels (batch,) or (batch, K), their first values."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return (batch, 1, 1, 1, 1)."""
        energy = inputs if len(inputs.shape) == 1 else inputs[:, 0]
        return tf.reshape(energy, (-1, 1, 1, 1, 1))


@keras.saving.register_keras_serializable("hpcgan")
class WithRoots(keras.Layer):
    """The sample and about its square root, in which small cells count."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return (batch, D, H, W, 2C)."""
        root = tf.sqrt(tf.maximum(inputs, 0.0) + _ROOT_OFFSET) - _ROOT_OFFSET**0.5
        return tf.concat([inputs, root], -1)


@keras.saving.register_keras_serializable("hpcgan")
class Sums(keras.Layer):
    """Each sample's sum, and its sums along the first axis."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return (batch, 1 + D)."""
        along = tf.reduce_sum(inputs, (2, 3, 4))
        return tf.concat([tf.reduce_sum(along, 1, keepdims=True), along], 1)


def build(config: ModelConfig, sample_shape: tuple[int, ...]) -> tuple[keras.Model, keras.Model]:
    """Return G and D for samples (D, H, W, C), sides from 8 to 64, C from 1 to 4."""
    parts.check_shape("volume", sample_shape, "DHW", 8, 64)
    sizes = parts.level_sizes(sample_shape[:3])
    widths = parts.level_widths(config, len(sizes))
    with keras.name_scope("generator"):
        generator = _generator(config, sizes, widths, sample_shape[3])
    with keras.name_scope("discriminator"):
        discriminator = _discriminator(config, sample_shape, widths)
    return generator, discriminator


def _generator(
    config: ModelConfig, sizes: list[tuple[int, ...]], widths: list[int], channels: int
) -> keras.Model:
    """Return G: dense to the coarsest level, a transposed convolution for each, a convolution."""
    latent, labels = inputs = parts.generator_inputs(config)
    coarsest = len(sizes) - 1
    shape = (*sizes[-1], widths[-1])
    x = latent if labels is None else WithEnergy(dtype="float32", name="energy")([latent, labels])
    x = layers.Dense(math.prod(shape), use_bias=False, name=f"dense_{coarsest}")(x)
    x = layers.Reshape(shape, name=f"reshape_{coarsest}")(x)
    x = _normalise_and_activate(x, config, coarsest)
    doubled = {"kernel_size": _KERNEL, "strides": 2, "padding": "same", "use_bias": False}
    for level in range(coarsest - 1, -1, -1):
        x = layers.Conv3DTranspose(widths[level], **doubled, name=f"upsample_{level}")(x)
        x = parts.crop(x, sizes[level], f"crop_{level}")
        x = _normalise_and_activate(x, config, level)
    bias = "zeros" if labels is None else keras.initializers.Constant(_FIRST_BIAS)
    last = layers.Conv3D(channels, 3, padding="same", bias_initializer=bias, name="last")
    return parts.network("generator", inputs, _sample(last(x), labels))


def _normalise_and_activate(x: parts.Tensor, config: ModelConfig, level: int) -> parts.Tensor:
    x = normalisation(config, f"norm_{level}", None)(x)
    return layers.ReLU(name=f"relu_{level}")(x)


def _sample(x: parts.Tensor, labels: parts.Tensor | None) -> parts.Tensor:
    """Return tanh(x); of showers, energy * softplus(x), (batch, D, H, W, C).

    A shower's cells share its energy: twice the energy is, to first order, twice in every cell.
    So the product leaves only the change of shape to the network. The energy in a cell is never
    negative, and spans orders of magnitude, as softplus does below 0.
    """
    if labels is None:
        return layers.Activation("tanh", dtype="float32", name="tanh")(x)
    x = layers.Activation("softplus", dtype="float32", name="softplus")(x)
    energy = Energies(dtype="float32", name="energies")(labels)
    return layers.Multiply(dtype="float32", name="shower")([x, energy])


def _discriminator(
    config: ModelConfig, sample_shape: tuple[int, ...], widths: list[int]
) -> keras.Model:
    """Return D: a convolution at each level, leaky ReLU and dropout; then the outputs."""
    sample, labels = inputs = parts.discriminator_inputs(config, sample_shape)
    showers = config.condition == "regression"
    x = WithRoots(dtype="float32", name="roots")(sample) if showers else sample
    for level, filters in enumerate(widths):
        kernel, stride = (3, 1) if level == 0 else (_KERNEL, 2)
        x = layers.Conv3D(
            filters, kernel, strides=stride, padding="same", name=f"downsample_{level}"
        )(x)
        x = layers.LeakyReLU(negative_slope=0.2, name=f"leaky_{level}")(x)
        x = Dropout(_DROPOUT, name=f"dropout_{level}")(x)
    x = layers.Flatten(name="flatten")(x)
    if not showers:
        return parts.network("discriminator", inputs, parts.class_outputs(config, x, labels))
    sums = Sums(dtype="float32", name="sums")(sample)
    x = layers.Concatenate(dtype="float32", name="features")([x, sums])
    guesses = math.prod(conditions.label_shape(config))
    outputs = [
        layers.Dense(units, dtype="float32", name=name)(x)
        for name, units in {"logit": 1, "energy": guesses}.items()
    ]
    return parts.network("discriminator", inputs, outputs)
