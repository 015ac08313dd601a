"""What maps samples to the feature vectors in which sets of them are compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np

from hpcgan.evaluation.samples import Samples


class Extractor(Protocol):
    """Maps samples to features; the same on all ranks.

    Attributes:
        name: part of the figures' names, such as pca64.
        dimension: d, of the features.
        identity: text that differs where the features do: of files a hash of their content.
    """

    name: str
    dimension: int
    identity: str

    def features(self, images: np.ndarray) -> np.ndarray:
        """Return the features, (n, d) float64, of samples (n, *sample_shape) in the data's dtype.

        Needs no other rank.
        """
        ...


@runtime_checkable
class ClassifyingExtractor(Extractor, Protocol):
    """An extractor whose features belong to classes."""

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return the probability of each class, (n, classes) float64, by the features (n, d)."""
        ...


def with_features(extractor: Extractor, samples: Samples) -> Samples:
    """Return samples with their features, and with probabilities if the extractor has classes."""
    known = dataclasses.replace(samples, features=extractor.features(samples.images))
    return with_probabilities(extractor, known)


def with_probabilities(extractor: Extractor, samples: Samples) -> Samples:
    """Return samples that have features with the probabilities that follow from these, if any."""
    if not isinstance(extractor, ClassifyingExtractor):
        return samples
    return dataclasses.replace(samples, probabilities=extractor.probabilities(samples.features))


def flat(images: np.ndarray) -> np.ndarray:
    """Return samples as (n, values) float64; uint8 scaled to [-1, 1]."""
    rows = images.reshape(len(images), int(np.prod(images.shape[1:]))).astype(np.float64)
    return rows / 127.5 - 1 if images.dtype == np.uint8 else rows


def in_batches(
    function: Callable[[np.ndarray], Any], images: np.ndarray, size: int, dimension: int
) -> np.ndarray:
    """Return a network's features, (n, dimension) float64, of samples, ``size`` at a time.

    The last ones are repeated up to ``size``: the network is compiled for one shape.
    """
    rows = [np.zeros((0, dimension))]
    for begin in range(0, len(images), size):
        batch = images[begin : begin + size]
        found = np.asarray(function(np.resize(batch, (size, *batch.shape[1:]))), np.float64)
        rows.append(found[: len(batch)])
    return np.concatenate(rows)
