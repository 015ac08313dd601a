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
from hpcgan.gan.models.volume import Energies, Sums, WithEnergy, WithRoots

# Bytes of the outputs of all layers that a batch of several shards may have, about: memory is then
# bounded, and the batch is large enough to be fast.
PASS_BYTES = 2**28

# Layers of these types treat each sample by itself, or each shard: ours, and those of Keras.
_OURS = (
    *(BatchNormalization, ConditionalScale, Dropout, SelfAttention2D, SpectralConv2D),
    *(SpectralDense, SpectralEmbedding, SumPooling2D, Sums, SynchronisedBatchNormalization),
    *(Energies, WithEnergy, WithRoots),
)
_KERAS = """
    Activation Add Average Concatenate Dense Dot ELU Embedding Flatten GroupNormalization Identity
    InputLayer LayerNormalization LeakyReLU Multiply PReLU Permute ReLU RepeatVector Rescaling
    Reshape Softmax Subtract DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D
"""
_KERAS_OF_SIDES = """
    AveragePooling Conv Cropping GlobalAveragePooling GlobalMaxPooling MaxPooling UpSampling
    ZeroPadding
"""
_SEPARATE = {
    *_OURS,
    *(getattr(layers, name) for name in _KERAS.split()),
    *(
        getattr(layers, f"{name}{sides}D")
        for name in _KERAS_OF_SIDES.split()
        for sides in (1, 2, 3)
    ),
    *(getattr(layers, f"Conv{sides}DTranspose") for sides in (1, 2, 3)),
}


def mixing_layer(network: keras.Model) -> str | None:
    """Return the name of a layer that may mix samples of several shards; None without any."""
    return next((each.name for each in _layers(network) if not _is_separate(each)), None)


def shards_together(networks: Sequence[keras.Model], hosted: int, batch: int) -> int:
    """Return how many of a rank's ``hosted`` shards go through the networks in one batch.

    It divides ``hosted``, so that all batches are of one size. ``batch`` counts samples per shard.
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
