"""DCGAN: convolutions with stride 2, batch normalisation in G, dropout in D.

After Radford et al., 2016 (https://arxiv.org/abs/1511.06434): no pooling, ReLU in G and leaky
ReLU in D, tanh at the end. Its initial weights, N(0, 0.02), learn more slowly at these sizes than
Glorot's, which Keras and so these networks begin with. A level halves the sample in D and doubles
it in G; there are as many as bring the longer side to 7 or less, and the width doubles with
each. At 28x28 and width 64, G is dense 7x7x128 - 14x14x64 - 28x28xC and D is 14x14x64 -
7x7x128 - 1.
"""

from __future__ import annotations

import keras
from keras import layers

from hpcgan.config import ModelConfig
from hpcgan.gan.models import parts
from hpcgan.gan.models.layers import Dropout
from hpcgan.gan.models.normalisation import normalisation

_KERNEL = 5
_DROPOUT = 0.3


def build(config: ModelConfig, sample_shape: tuple[int, ...]) -> tuple[keras.Model, keras.Model]:
    """Return G and D for samples (H, W, C), H and W from 8 to 128, C from 1 to 4."""
    parts.check_shape("dcgan", sample_shape, "HW", 8, 128)
    sizes = parts.level_sizes(sample_shape[:2])
    widths = [config.width * 2**level for level in range(len(sizes) - 1)]
    with keras.name_scope("generator"):
        generator = _generator(config, sizes, widths, sample_shape[2])
    with keras.name_scope("discriminator"):
        discriminator = _discriminator(config, sample_shape, widths)
    return generator, discriminator


def _generator(
    config: ModelConfig, sizes: list[tuple[int, ...]], widths: list[int], channels: int
) -> keras.Model:
    """Return G: dense to the coarsest level, then one transposed convolution for each level."""
    latent, labels = inputs = parts.generator_inputs(config)
    coarsest = len(widths)
    height, width = sizes[coarsest]
    units = height * width * widths[-1]
    x = layers.Dense(units, use_bias=False, name=f"dense_{coarsest}")(latent)
    x = normalisation(config, f"norm_{coarsest}", labels)(x)
    x = layers.ReLU(name=f"relu_{coarsest}")(x)
    x = layers.Reshape((height, width, widths[-1]), name=f"reshape_{coarsest}")(x)
    for level in range(coarsest - 1, 0, -1):
        x = _upsample(x, level, widths[level - 1], sizes[level], use_bias=False)
        x = normalisation(config, f"norm_{level}", labels)(x)
        x = layers.ReLU(name=f"relu_{level}")(x)
    x = _upsample(x, 0, channels, sizes[0], use_bias=True)
    x = layers.Activation("tanh", dtype="float32", name="tanh")(x)
    return parts.network("generator", inputs, x)


def _upsample(
    x: parts.Tensor, level: int, filters: int, size: tuple[int, ...], use_bias: bool
) -> parts.Tensor:
    """Return x brought from level + 1 to level: twice the size, less a line where it is odd."""
    x = layers.Conv2DTranspose(
        filters, _KERNEL, strides=2, padding="same", use_bias=use_bias, name=f"upsample_{level}"
    )(x)
    return parts.crop(x, size, f"crop_{level}")


def _discriminator(
    config: ModelConfig, sample_shape: tuple[int, ...], widths: list[int]
) -> keras.Model:
    """Return D: for each level a convolution, leaky ReLU and dropout; then the outputs."""
    x, labels = inputs = parts.discriminator_inputs(config, sample_shape)
    for level, filters in enumerate(widths, start=1):
        x = layers.Conv2D(filters, _KERNEL, strides=2, padding="same", name=f"downsample_{level}")(
            x
        )
        x = layers.LeakyReLU(negative_slope=0.2, name=f"leaky_{level}")(x)
        x = Dropout(_DROPOUT, name=f"dropout_{level}")(x)
    x = layers.Flatten(name="flatten")(x)
    outputs = parts.class_outputs(config, x, labels)
    return parts.network("discriminator", inputs, outputs)
