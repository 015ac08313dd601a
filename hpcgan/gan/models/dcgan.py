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
from hpcgan.errors import ConfigError

_KERNEL = 5
_COARSEST = 7
_DROPOUT = 0.3


def build(config: ModelConfig, sample_shape: tuple[int, ...]) -> tuple[keras.Model, keras.Model]:
    """Return G and D for samples (H, W, C), H and W from 8 to 128, C from 1 to 4.

    Raises:
        ConfigError: the samples have another shape.
    """
    _check(sample_shape)
    sizes = _level_sizes(sample_shape)
    widths = [config.width * 2**level for level in range(len(sizes) - 1)]
    generator = _generator(config.latent_dim, sizes, widths, sample_shape[2])
    return generator, _discriminator(sample_shape, widths)


def _check(shape: tuple[int, ...]) -> None:
    if len(shape) != 3 or not all(8 <= side <= 128 for side in shape[:2]) or shape[2] > 4:
        raise ConfigError(
            f"model.name dcgan makes samples (H, W, C) with H and W from 8 to 128 and C from 1 "
            f"to 4, but the data's are {shape}; choose model.name mlp, or other data"
        )


def _level_sizes(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return (H, W) of each level, from the sample's own to the coarsest."""
    sizes = [(shape[0], shape[1])]
    while max(sizes[-1]) > _COARSEST:
        height, width = sizes[-1]
        sizes.append(((height + 1) // 2, (width + 1) // 2))
    return sizes


def _normalise_and_activate(level: int) -> list[keras.Layer]:
    # Momentum 0.9: with Keras' 0.99, runs of some hundred steps would sample with statistics
    # of networks long gone.
    return [
        layers.BatchNormalization(momentum=0.9, name=f"norm_{level}"),
        layers.ReLU(name=f"relu_{level}"),
    ]


def _generator(
    latent_dim: int, sizes: list[tuple[int, int]], widths: list[int], channels: int
) -> keras.Model:
    """Return G: dense to the coarsest level, then one transposed convolution for each level."""
    coarsest = len(widths)
    height, width = sizes[coarsest]
    stack = [
        keras.Input((latent_dim,)),
        layers.Dense(
            height * width * widths[-1],
            use_bias=False,
            name=f"dense_{coarsest}",
        ),
        *_normalise_and_activate(coarsest),
        layers.Reshape((height, width, widths[-1]), name=f"reshape_{coarsest}"),
    ]
    for level in range(coarsest - 1, 0, -1):
        stack += _upsample(level, widths[level - 1], sizes)
        stack += _normalise_and_activate(level)
    stack += _upsample(0, channels, sizes, use_bias=True, activation="tanh")
    return keras.Sequential(stack, name="generator")


def _upsample(
    level: int,
    filters: int,
    sizes: list[tuple[int, int]],
    use_bias: bool = False,
    activation: str | None = None,
) -> list[keras.Layer]:
    """Return the layers from level + 1 to level: twice the size, less a line where it is odd."""
    stack: list[keras.Layer] = [
        layers.Conv2DTranspose(
            filters,
            _KERNEL,
            strides=2,
            padding="same",
            use_bias=use_bias,
            activation=activation,
            name=f"upsample_{level}",
        )
    ]
    excess = [
        2 * coarse - fine for coarse, fine in zip(sizes[level + 1], sizes[level], strict=True)
    ]
    if any(excess):
        stack.append(layers.Cropping2D(((0, excess[0]), (0, excess[1])), name=f"crop_{level}"))
    return stack


def _discriminator(sample_shape: tuple[int, ...], widths: list[int]) -> keras.Model:
    """Return D: for each level a convolution, leaky ReLU and dropout; then the logit."""
    stack: list[keras.Layer] = [keras.Input(sample_shape)]
    for level, filters in enumerate(widths, start=1):
        stack += [
            layers.Conv2D(
                filters,
                _KERNEL,
                strides=2,
                padding="same",
                name=f"downsample_{level}",
            ),
            layers.LeakyReLU(negative_slope=0.2, name=f"leaky_{level}"),
            layers.Dropout(_DROPOUT, name=f"dropout_{level}"),
        ]
    stack += [
        layers.Flatten(name="flatten"),
        layers.Dense(1, name="logit"),
    ]
    return keras.Sequential(stack, name="discriminator")
