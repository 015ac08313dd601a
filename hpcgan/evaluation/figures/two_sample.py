"""Can a network tell the samples from real ones? The two-sample test of CaloChallenge.

The networks and their training are those of its public ``evaluate.py``: dense layers of 512 with
leaky ReLU, one at the input and two after it, then one logit; Adam at 2e-4, batches of 1,000, 50
epochs; 60% of the samples to train on, 20% to choose the best epoch by its accuracy, 20% for the
figure (Krause et al., 2024, arXiv:2410.21611, section 4.5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hpcgan.evaluation.figures.auc import auc
from hpcgan.evaluation.samples import Samples

if TYPE_CHECKING:
    import keras

REPEATS = 5
EPOCHS = 50
_WIDTH, _HIDDEN = 512, 3
_RATE, _BATCH = 2e-4, 1000
_TRAINED, _CHOOSING = 0.6, 0.2
_REAL_BYTES = 4  # of a float32
# Whether samples and reference are real.
_KINDS = np.array([0, 1], np.float32)


class Part(NamedTuple):
    """Samples of both kinds.

    Attributes:
        features: (n, d) float32.
        is_real: (n,) float32, 1 or 0.
    """

    features: np.ndarray
    is_real: np.ndarray


def two_sample(samples: Samples, reference: Samples) -> dict[str, float]:
    """Return the mean and the standard deviation of the AUC of 5 classifiers.

    ``two_sample`` is 1/2 where they cannot tell samples from the reference, 1 where they always
    can. Each is trained on another division of the features; the larger set is cut to the size of
    the smaller. The ranks share out the classifiers, so every rank holds all features
    (``memory``), and TensorFlow must be ready (``devices.prepare_tensorflow``). All ranks must call
    it. A set needs 5 samples.
    """
    group = samples.group
    ours, theirs = _all_features(samples), _all_features(reference)
    found = np.zeros(REPEATS)
    for repeat in range(group.rank, REPEATS, group.size):
        found[repeat] = classifier_auc(ours, theirs, repeat)
    found = group.sum_arrays(found)
    return {
        "two_sample": float(found.mean()),
        "two_sample_spread": float(np.std(found, ddof=1)),
    }


def memory(samples: int, reference: int, dimension: int) -> int:
    """Return the bytes that ``two_sample`` needs on each rank, of so many features."""
    both = 2 * min(samples, reference)
    weights = _WIDTH * (dimension + (_HIDDEN - 1) * _WIDTH)
    # All features and a shuffled copy; weights, the best so far, the gradient and two moments.
    return _REAL_BYTES * ((samples + reference + both) * dimension + 5 * weights)


def _all_features(samples: Samples) -> np.ndarray:
    """Return the features of all ranks, (count, d) float32. All ranks must call it."""
    features = np.empty((samples.count, samples.features.shape[1]), np.float32)
    for tile in samples.all_tiles():
        features[tile.first : tile.first + len(tile.features)] = tile.features
    return features


def classifier_auc(ours: np.ndarray, theirs: np.ndarray, seed: int) -> float:
    """Return the AUC of a classifier of features, (n, d) and (m, d), on some that it has not seen.

    Division, first weights and order follow from ``seed``. Needs no other rank.
    """
    random = np.random.Generator(np.random.Philox(key=seed))
    training, choosing, testing = divide(random, ours, theirs)
    mean, deviation = training.features.mean(axis=0), training.features.std(axis=0)
    deviation[deviation == 0] = 1
    for part in (training, choosing, testing):
        part.features[:] = (part.features - mean) / deviation
    network = untrained(ours.shape[1], seed)
    best, best_weights = -1.0, network.get_weights()
    for _ in range(EPOCHS):
        order = random.permutation(len(training.is_real))
        for at in range(0, len(order), _BATCH):
            batch = order[at : at + _BATCH]
            network.train_on_batch(training.features[batch], training.is_real[batch])
        accuracy = float(np.mean((_logits(network, choosing) > 0) == (choosing.is_real == 1)))
        if accuracy > best:
            best, best_weights = accuracy, network.get_weights()
        if accuracy == 1:
            break
    network.set_weights(best_weights)
    logits = _logits(network, testing)
    return auc(logits[testing.is_real == 1], logits[testing.is_real == 0])


def divide(random: np.random.Generator, ours: np.ndarray, theirs: np.ndarray) -> list[Part]:
    """Return samples to train on, to choose the best epoch with, and to test on.

    As many of both sets in each.
    """
    count = min(len(ours), len(theirs))
    ends = np.cumsum([int(_TRAINED * count), int(_CHOOSING * count)])
    pieces = [np.split(random.permutation(each)[:count], ends) for each in (ours, theirs)]
    return [
        Part(np.concatenate(both), np.repeat(_KINDS, [len(each) for each in both]))
        for both in zip(*pieces, strict=True)
    ]


def untrained(dimension: int, seed: int) -> keras.Model:
    """Return an untrained classifier with one logit."""
    import keras

    layers: list[keras.layers.Layer] = [keras.Input((dimension,))]
    for number, width in enumerate([_WIDTH] * _HIDDEN + [1]):
        # Uniform within 1 / sqrt(inputs), as CaloChallenge's library has it.
        first = keras.initializers.VarianceScaling(
            1 / 3, "fan_in", "uniform", seed=1000 * seed + number
        )
        layers.append(keras.layers.Dense(width, kernel_initializer=first))
        layers.append(keras.layers.LeakyReLU(0.01))
    network = keras.Sequential(layers[:-1])
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam(_RATE, epsilon=1e-8)
    network.compile(optimizer, loss, jit_compile=False)
    return network


def _logits(network: keras.Model, part: Part) -> np.ndarray:
    """Return the classifier's logits, (n,)."""
    batches = [
        network.predict_on_batch(part.features[at : at + _BATCH])
        for at in range(0, len(part.features), _BATCH)
    ]
    return np.concatenate(batches)[:, 0]
