"""Residual networks: batch normalisation in G, spectral normalisation in all layers of D.

SNGAN's blocks (Miyato et al., 2018, https://arxiv.org/abs/1802.05957, appendix B.4), in as many
levels as halve the longer side to 7 or less; level 0 has the sample's size and ``width`` channels,
and each coarser level has twice as many, up to 8 times ``width``. With attention, both networks
have a layer of it (SAGAN) at the finest level of 32 or less below the sample's own. Conditions on
class labels are those of Miyato and Koyama, 2018, and of Odena et al., 2017.
"""

from __future__ import annotations

import keras
from keras import layers

from hpcgan.config import ModelConfig
from hpcgan.gan.models import parts
from hpcgan.gan.models.layers import SelfAttention2D, SumPooling2D
from hpcgan.gan.models.normalisation import normalisation
from hpcgan.gan.models.spectral import SpectralConv2D

_ATTENTION_SIDE = 32

Sizes = list[tuple[int, ...]]


def build(config: ModelConfig, sample_shape: tuple[int, ...]) -> tuple[keras.Model, keras.Model]:
    """Return G and D for samples (H, W, C), H and W from 16 to 128, C from 1 to 4."""
    parts.check_shape("resnet", sample_shape, "HW", 16, 128, "mlp or dcgan")
    sizes = parts.level_sizes(sample_shape[:2])
    with keras.name_scope("generator"):
        generator = _generator(config, sizes, sample_shape[2])
    with keras.name_scope("discriminator"):
        discriminator = _discriminator(config, sizes, sample_shape)
    return generator, discriminator


def _attention_level(config: ModelConfig, sizes: Sizes) -> int | None:
    """Return the level that has attention, if any."""
    if not config.attention:
        return None
    return next(
        level for level, size in enumerate(sizes) if level > 0 and max(size) <= _ATTENTION_SIDE
    )


def _generator(config: ModelConfig, sizes: Sizes, channels: int) -> keras.Model:
    """Return G: dense to the coarsest level, an up block to each finer one, a convolution."""
    latent, labels = inputs = parts.generator_inputs(config)
    widths = parts.level_widths(config, len(sizes))
    height, width = sizes[-1]
    x = layers.Dense(height * width * widths[-1], name="dense")(latent)
    x = layers.Reshape((height, width, widths[-1]), name="reshape")(x)
    for level in range(len(sizes) - 2, -1, -1):
        x = _up_block(x, config, labels, widths[level], sizes[level], f"up_{level}")
        if level == _attention_level(config, sizes):
            x = SelfAttention2D(spectral=False, name="attention")(x)
    x = _normalise_and_activate(x, config, labels, "last")
    x = layers.Conv2D(channels, 3, padding="same", name="last_conv")(x)
    x = layers.Activation("tanh", dtype="float32", name="tanh")(x)
    return parts.network("generator", inputs, x)


def _up_block(
    x: parts.Tensor,
    config: ModelConfig,
    labels: parts.Tensor | None,
    filters: int,
    size: tuple[int, ...],
    name: str,
) -> parts.Tensor:
    """Return x (batch, h, w, c) as (batch, *size, filters), size being about (2h, 2w)."""
    # A 1x1 convolution commutes with the repetition of pixels, and costs a quarter before it.
    skip = layers.Conv2D(filters, 1, name=f"{name}_skip")(x)
    skip = _upsample(skip, size, f"{name}_skip")
    x = _normalise_and_activate(x, config, labels, f"{name}_1")
    x = _upsample(x, size, name)
    x = layers.Conv2D(filters, 3, padding="same", name=f"{name}_1_conv")(x)
    x = _normalise_and_activate(x, config, labels, f"{name}_2")
    x = layers.Conv2D(filters, 3, padding="same", name=f"{name}_2_conv")(x)
    return layers.Add(name=f"{name}_sum")([skip, x])


def _upsample(x: parts.Tensor, size: tuple[int, ...], name: str) -> parts.Tensor:
    """Return x with each pixel twice a side, less a line where ``size`` is odd."""
    x = layers.UpSampling2D(interpolation="nearest", name=f"{name}_upsample")(x)
    return parts.crop(x, size, f"{name}_crop")


def _normalise_and_activate(
    x: parts.Tensor, config: ModelConfig, labels: parts.Tensor | None, name: str
) -> parts.Tensor:
    x = normalisation(config, f"{name}_norm", labels)(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _discriminator(config: ModelConfig, sizes: Sizes, sample_shape: tuple[int, ...]) -> keras.Model:
    """Return D: a down block to each coarser level, one block more, ReLU, sum over all pixels."""
    x, labels = inputs = parts.discriminator_inputs(config, sample_shape)
    widths = parts.level_widths(config, len(sizes))
    for level in range(1, len(sizes)):
        x = _down_block(x, widths[level - 1], widths[level], f"down_{level}", first=level == 1)
        if level == _attention_level(config, sizes):
            x = SelfAttention2D(spectral=True, name="attention")(x)
    x = _last_block(x, widths[-1])
    x = layers.ReLU(name="features_relu")(x)
    x = SumPooling2D(name="features")(x)
    outputs = parts.class_outputs(config, x, labels, spectral=True)
    return parts.network("discriminator", inputs, outputs)


def _down_block(x: parts.Tensor, inside: int, filters: int, name: str, first: bool) -> parts.Tensor:
    """Return x (batch, h, w, c) as (batch, h/2, w/2, filters), rounded up.

    The first block has no ReLU at its start: the sample's sign would be lost.
    """
    # A 1x1 convolution commutes with the mean, and costs a quarter after it.
    skip = layers.AveragePooling2D(2, padding="same", name=f"{name}_skip_pool")(x)
    skip = SpectralConv2D(filters, 1, name=f"{name}_skip")(skip)
    if not first:
        x = layers.ReLU(name=f"{name}_1_relu")(x)
    x = SpectralConv2D(inside, 3, padding="same", name=f"{name}_1_conv")(x)
    x = layers.ReLU(name=f"{name}_2_relu")(x)
    x = SpectralConv2D(filters, 3, padding="same", name=f"{name}_2_conv")(x)
    x = layers.AveragePooling2D(2, padding="same", name=f"{name}_pool")(x)
    return layers.Add(name=f"{name}_sum")([skip, x])


def _last_block(x: parts.Tensor, filters: int) -> parts.Tensor:
    """Return x (batch, h, w, filters) after a block that keeps its shape."""
    skip = x
    for part in ("last_1", "last_2"):
        x = layers.ReLU(name=f"{part}_relu")(x)
        x = SpectralConv2D(filters, 3, padding="same", name=f"{part}_conv")(x)
    return layers.Add(name="last_sum")([skip, x])
