"""What several families of networks share: the levels' sizes, inputs and outputs."""

from __future__ import annotations

from typing import TypeAlias

import keras
from keras import layers

from hpcgan.config import ModelConfig
from hpcgan.data.kinds import MOST_CHANNELS
from hpcgan.errors import ConfigError
from hpcgan.gan import conditions
from hpcgan.gan.models.spectral import SpectralDense, SpectralEmbedding

_COARSEST = 7
_WIDEST = 8

Tensor: TypeAlias = keras.KerasTensor


def level_sizes(sides: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the sides at each level, from the sample's own to the coarsest, 7 or less."""
    sizes = [tuple(sides)]
    while max(sizes[-1]) > _COARSEST:
        sizes.append(tuple((side + 1) // 2 for side in sizes[-1]))
    return sizes


def level_widths(config: ModelConfig, levels: int) -> list[int]:
    """Return the channels of each level: twice as many as the one before, up to 8 times."""
    return [config.width * min(2**level, _WIDEST) for level in range(levels)]


def check_shape(
    family: str, shape: tuple[int, ...], sides: str, least: int, most: int, others: str = "mlp"
) -> None:
    """Refuse samples that a family does not make, and name ``others`` that may.

    It makes (*sides, C): each of ``sides``, "HW" or "DHW", is from ``least`` to ``most``.
    """
    fits = len(shape) == len(sides) + 1 and all(least <= side <= most for side in shape[:-1])
    if fits and shape[-1] <= MOST_CHANNELS:
        return
    raise ConfigError(
        f"model.name {family} makes samples ({', '.join(sides)}, C) with {', '.join(sides[:-1])} "
        f"and {sides[-1]} from {least} to {most} and C from 1 to {MOST_CHANNELS}, but the data's "
        f"are {shape}; {_way_out(shape, sides, others)}"
    )


def _way_out(shape: tuple[int, ...], sides: str, others: str) -> str:
    """Return what to do with samples that a family of networks does not make."""
    if shape[-1] <= MOST_CHANNELS and len(shape) == len(sides) + 1:  # too small or too large
        return f"choose model.name {others}, or other data"
    if shape[-1] <= MOST_CHANNELS:
        return f"choose model.name {'volume' if len(shape) == 4 else 'dcgan or resnet'}"
    own = f"samples of {shape[-1]} channels need networks of your own (docs/models.md)"
    if len(shape) == 4:
        return own
    return (
        "if they are volumes (D, H, W), hpcgan-data convert --layout NDHW adds the axis of the "
        f"channels; {own}"
    )


def crop(x: Tensor, size: tuple[int, ...], name: str) -> Tensor:
    """Return x (batch, *sides, channels) without what is beyond ``size`` at the far ends."""
    excess = [(0, side - wanted) for side, wanted in zip(x.shape[1:-1], size, strict=True)]
    if not any(far for _, far in excess):
        return x
    make = {2: layers.Cropping2D, 3: layers.Cropping3D}[len(size)]
    return make(tuple(excess), name=name)(x)


def generator_inputs(config: ModelConfig) -> tuple[Tensor, Tensor | None]:
    """Return the latent vectors and, with a condition, the labels."""
    latent = keras.Input((config.latent_dim,), dtype="float32", name="latent")
    if config.condition == "none":
        return latent, None
    dtype = "float32" if config.condition == "regression" else "int32"
    return latent, keras.Input(conditions.label_shape(config), dtype=dtype, name="labels")


def discriminator_inputs(
    config: ModelConfig, sample_shape: tuple[int, ...]
) -> tuple[Tensor, Tensor | None]:
    """Return the samples and, where D judges them with their labels (projection), those."""
    sample = keras.Input(sample_shape, dtype="float32", name="sample")
    if config.condition != "projection":
        return sample, None
    return sample, keras.Input((), dtype="int32", name="labels")


def network(name: str, inputs: tuple[Tensor, Tensor | None], outputs: Tensor) -> keras.Model:
    """Return the network of one input, or of a list of two."""
    first, labels = inputs
    return keras.Model(first if labels is None else [first, labels], outputs, name=name)


def class_outputs(
    config: ModelConfig, features: Tensor, labels: Tensor | None, spectral: bool = False
) -> Tensor | list[Tensor]:
    """Return D's outputs from its features (batch, n), for any condition on class labels.

    Projection is equation 4 of Miyato and Koyama, 2018 (https://arxiv.org/abs/1802.05637):
    logit = dense(features) + <embedding(label), features>. Auxiliary (Odena et al., 2017) is
    [logit, logits of the classes (batch, classes)].
    """
    dense = SpectralDense if spectral else layers.Dense
    embedding = SpectralEmbedding if spectral else layers.Embedding
    logit = dense(1, dtype="float32", name="logit")(features)
    if config.condition == "none":
        return logit
    assert config.classes is not None
    if config.condition == "auxiliary":
        return [logit, dense(config.classes, dtype="float32", name="classes")(features)]
    of_label = embedding(config.classes, features.shape[-1], dtype="float32", name="embedding")
    inner = layers.Dot(1, dtype="float32", name="projection")([of_label(labels), features])
    return layers.Add(dtype="float32", name="sum")([logit, inner])
