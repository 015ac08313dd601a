"""Distances between the samples of all ranks, a pair of blocks at a time, and the nearest of them.

No rank holds all distances, nor all features: the reference's travel round the ring. What is
computed from two blocks is the same on any number of ranks, bit for bit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from hpcgan.blocks import BLOCK
from hpcgan.evaluation.samples import Samples

# A squared distance that is this small beside the squared lengths of both vectors is the rounding
# of a distance of 0.
_ROUNDING = 1e-12


class Distances(NamedTuple):
    """Squared distances of a block of this rank's samples to a block of the reference's.

    Attributes:
        rows: which of this rank's samples, n of them.
        columns: which of the reference's samples, by number among those of all ranks, m of them.
        squared: (n, m) float64.
        beside: what belongs to the reference's samples, (m, ...).
    """

    rows: slice
    columns: slice
    squared: np.ndarray
    beside: np.ndarray


def distances(
    samples: Samples, reference: Samples, beside: np.ndarray | None = None
) -> Iterator[Distances]:
    """Yield the squared distances of this rank's samples to all of the reference.

    If both are the same object, a sample is infinitely far from itself. All ranks must call it, and
    take all that it gives.

    Args:
        samples: whose own ones are compared.
        reference: with what.
        beside: values that travel with this rank's part of the reference, (own, m) float64.
    """
    dimension = reference.features.shape[1]
    if beside is None:
        beside = np.zeros((len(reference.features), 0))
    loaded = dataclasses.replace(reference, features=np.hstack([reference.features, beside]))
    for theirs in loaded.all_tiles():
        features = np.ascontiguousarray(theirs.features[:, :dimension])
        columns = slice(theirs.first, theirs.first + len(features))
        for place, ours in enumerate(samples.own_tiles()):
            squared = squared_distances(ours.features, features)
            if samples is reference and ours.first == theirs.first:
                np.fill_diagonal(squared, np.inf)
            rows = slice(place * BLOCK, place * BLOCK + len(squared))
            yield Distances(rows, columns, squared, theirs.features[:, dimension:])


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the squared distances, (n, m), of vectors (n, d) and (m, d).

    |x|^2 + |y|^2 - 2 x.y, which is never below 0, and exactly 0 for equal vectors.
    """
    lengths = np.sum(a * a, axis=1)[:, np.newaxis] + np.sum(b * b, axis=1)
    squared = lengths - 2 * (a @ b.T)
    squared[squared < _ROUNDING * lengths] = 0
    return squared


def nearest(samples: Samples, reference: Samples, k: int) -> np.ndarray:
    """Return the ``k`` smallest squared distances of this rank's samples to the reference's.

    If both are the same object, a sample is not its own neighbour. All ranks must call it.

    Returns:
        (own, k) float64, ascending; infinity where the reference has fewer.
    """
    smallest = np.full((len(samples.features), k), np.inf)
    for found in distances(samples, reference):
        both = np.hstack([smallest[found.rows], found.squared])
        smallest[found.rows] = np.partition(both, k - 1, axis=1)[:, :k]
    return np.sort(smallest, axis=1)
