"""Which shards of a rank go through the networks together, in one batch.

Small batches one after the other take far longer than one large batch (``benchmarks.shards``). A
batch of several shards must give what each shard alone would: all layers must treat each sample by
itself, or each shard. Those that are known to do so are listed here; a network with any other layer
gets one shard after the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf
from keras import layers

from hpcgan.gan.models.layers import Dropout, SelfAttention2D, SumPooling2D
from hpcgan.gan.models.normalisation import (
    BatchNormalization,
    ConditionalScale,
    SynchronisedBatchNormalization,
    synchronised,
)
from hpcgan.gan.models.spectral import SpectralConv2D, SpectralDense, SpectralEmbedding
from hpcgan.gan.models.volume import Sums, WithEnergy, WithRoots

# Bytes of the outputs of all layers that a batch of several shards may have, about: memory is then
# bounded, and the batch is large enough to be fast.
PASS_BYTES = 2**28

# Each layer of these types treats each sample by itself, or each shard.
_SEPARATE = (
    BatchNormalization,
    ConditionalScale,
    Dropout,
    SelfAttention2D,
    SpectralConv2D,
    SpectralDense,
    SpectralEmbedding,
    SumPooling2D,
    Sums,
    SynchronisedBatchNormalization,
    WithEnergy,
    WithRoots,
    layers.Activation,
    layers.Add,
    layers.Average,
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.AveragePooling3D,
    layers.Concatenate,
    layers.Conv1D,
    layers.Conv1DTranspose,
    layers.Conv2D,
    layers.Conv2DTranspose,
    layers.Conv3D,
    layers.Conv3DTranspose,
    layers.Cropping1D,
    layers.Cropping2D,
    layers.Cropping3D,
    layers.Dense,
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
    layers.Dot,
    layers.ELU,
    layers.Embedding,
    layers.Flatten,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.GlobalMaxPooling3D,
    layers.GroupNormalization,
    layers.Identity,
    layers.InputLayer,
    layers.LayerNormalization,
    layers.LeakyReLU,
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.MaxPooling3D,
    layers.Multiply,
    layers.PReLU,
    layers.Permute,
    layers.ReLU,
    layers.RepeatVector,
    layers.Rescaling,
    layers.Reshape,
    layers.SeparableConv1D,
    layers.SeparableConv2D,
    layers.Softmax,
    layers.Subtract,
    layers.UpSampling1D,
    layers.UpSampling2D,
    layers.UpSampling3D,
    layers.ZeroPadding1D,
    layers.ZeroPadding2D,
    layers.ZeroPadding3D,
)


def mixing_layer(network: keras.Model) -> str | None:
    """Return the name of a layer that may mix samples of several shards; None without any."""
    return next((each.name for each in _layers(network) if not _is_separate(each)), None)


def shards_together(networks: Sequence[keras.Model], hosted: int, batch: int) -> int:
    """Return how many of a rank's shards go through the networks in one batch.

    It divides ``hosted``, so that all batches are of one size.

    Args:
        networks: G and D.
        hosted: shards of the rank.
        batch: samples of a shard that are in a batch.
    """
    if any(synchronised(each) for each in networks):
        return hosted
    if any(mixing_layer(each) for each in networks):
        return 1
    of_sample = sum(4 * math.prod(shape) for each in networks for shape in _output_shapes(each))
    most = max(1, PASS_BYTES // (batch * of_sample))
    return next(number for number in range(min(hosted, most), 0, -1) if hosted % number == 0)


def _is_separate(layer: keras.Operation) -> bool:
    """Return whether a layer is known to treat each sample by itself, or each shard."""
    if type(layer) not in _SEPARATE:
        return False
    # A user's own activation may do anything, and so may a softmax over the samples.
    is_keras = _is_of_keras(getattr(layer, "activation", None) or keras.activations.linear)
    return is_keras and 0 not in tf.nest.flatten(getattr(layer, "axis", -1))


def _is_of_keras(thing: object) -> bool:
    return thing.__module__.startswith("keras.")


def _layers(network: keras.Model) -> Iterator[keras.Operation]:
    """Yield the layers and operations that a network consists of, those inside of others too."""
    inside = network.layers if isinstance(network, keras.Sequential) else network.operations
    for each in inside:
        # A user's own subclass may do other things with its layers.
        is_network = isinstance(each, keras.Model) and _is_of_keras(type(each))
        yield from _layers(each) if is_network else [each]


def _output_shapes(network: keras.Model) -> Iterator[tuple[int, ...]]:
    """Yield the shapes of the outputs of all layers for one sample."""
    for each in _layers(network):
        yield from (output.shape[1:] for output in tf.nest.flatten(each.output))
