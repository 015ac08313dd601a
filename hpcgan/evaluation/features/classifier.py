"""A small convolutional classifier of the data's own classes: its network, and it as features."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from hpcgan.errors import ConfigError
from hpcgan.evaluation.features import in_batches
from hpcgan.evaluation.features.classifier_file import Classifier

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

DIMENSION = 128  # of the features, the last layer but one
_WIDTH = 16  # channels at the sample's own size; they double where its sides halve
_WIDEST = 128
_COARSEST = 4  # the longest side at which it stops to halve them
_BATCH = 64


def build(sample_shape: tuple[int, ...], classes: int, seed: int = 0) -> keras.Model:
    """Return the network: samples, (batch, *sample_shape) float32, to features and logits.

    A convolution 3x3 (3x3x3 for volumes) with ReLU, and more of stride 2 until the longest side is
    4 or less; then a dense layer with ReLU, which gives the features (batch, 128), and one that
    gives the logits (batch, classes).
    """
    import keras
    from keras import layers

    seeds = keras.random.SeedGenerator(seed)
    convolution = layers.Conv3D if len(sample_shape) == 4 else layers.Conv2D
    x = inputs = keras.Input(sample_shape)
    sides, width, stride = max(sample_shape[:-1]), _WIDTH, 1
    while True:
        start = keras.initializers.HeNormal(seeds)
        layer = convolution(width, 3, stride, "same", activation="relu", kernel_initializer=start)
        x = layer(x)
        if sides <= _COARSEST:
            break
        sides, width, stride = (sides + 1) // 2, min(2 * width, _WIDEST), 2
    start = keras.initializers.HeNormal(seeds)
    features = layers.Dense(DIMENSION, activation="relu", kernel_initializer=start)(
        layers.Flatten()(x)
    )
    start = keras.initializers.GlorotUniform(seeds)
    logits = layers.Dense(classes, kernel_initializer=start)(features)
    return keras.Model(inputs, [features, logits])


def standardised(samples: tf.Tensor, mean: float, deviation: float) -> tf.Tensor:
    """Return samples of the data as the network takes them: float32 of mean 0 and deviation 1."""
    import tensorflow as tf

    values = tf.cast(samples, tf.float32)
    if samples.dtype == tf.uint8:
        values = values / 127.5 - 1
    return (values - mean) / deviation


def flattened(network: keras.Model) -> np.ndarray:
    """Return all weights of a network, (n,) float32."""
    return np.concatenate([np.asarray(each).ravel() for each in network.get_weights()])


class ClassifierFeatures:
    """A ``ClassifyingExtractor``: the classifier's last layer but one."""

    name = "classifier"
    dimension = DIMENSION

    def __init__(self, classifier: Classifier, origin: str) -> None:
        """Build the network.

        Raises:
            ConfigError: the weights are not those of the network of the description; ``origin``
                names the file.
        """
        import tensorflow as tf

        network = build(classifier.sample_shape, classifier.classes)
        shapes = [tuple(each.shape) for each in network.weights]
        ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
        if ends[-1] != len(classifier.weights):
            raise ConfigError(
                f"{origin}: holds {len(classifier.weights)} weights, and the classifier of "
                f"{classifier.sample_shape} has {ends[-1]}; fit it again (hpcgan features fit)"
            )
        parts = [classifier.weights[begin:end] for begin, end in pairwise(ends)]
        network.set_weights(
            [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
        )
        kernel, bias = network.get_weights()[-2:]
        self._last = kernel.astype(np.float64), bias.astype(np.float64)
        self.identity = classifier.identity

        @tf.function
        def features(samples: tf.Tensor) -> tf.Tensor:
            inputs = standardised(samples, classifier.mean, classifier.deviation)
            return network(inputs, training=False)[0]

        self._features = features

    def features(self, images: np.ndarray) -> np.ndarray:
        """Return the features, (n, 128) float64, of samples (n, *sample_shape)."""
        return in_batches(self._features, images, _BATCH, self.dimension)

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return the probabilities of the classes, (n, classes) float64, of features (n, 128)."""
        kernel, bias = self._last
        logits = features @ kernel + bias
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)
