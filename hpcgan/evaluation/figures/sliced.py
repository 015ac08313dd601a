"""The sliced Wasserstein distance: along lines, where the exact one is a matter of sorting."""

from __future__ import annotations

import math

import numpy as np

from hpcgan.evaluation.samples import Samples

DIRECTIONS = 1024
# Directions along which the samples are projected at a time.
_AT_ONCE = 64


def sliced(samples: Samples, reference: Samples) -> dict[str, float]:
    """Return the root of the mean squared Wasserstein distance along random directions.

    Of 1,024 directions (Bonneel et al., 2015, equation 10, with p = 2), in the features' units.
    Along each, the distance of all samples is exact; the ranks share out the directions. All ranks
    must call it.
    """
    group = samples.group
    total = np.zeros(1)
    for number in range(DIRECTIONS // _AT_ONCE):
        axes = directions(samples.features.shape[1], number)
        ours, theirs = (_sorted(each, axes) for each in (samples, reference))
        total += squared_wasserstein(ours, theirs).sum()
    return {"sliced": math.sqrt(float(group.sum_arrays(total)[0]) / DIRECTIONS)}


def directions(dimension: int, number: int) -> np.ndarray:
    """Return 64 random unit vectors, (dimension, 64), that depend on the arguments alone."""
    generator = np.random.Generator(np.random.Philox(key=number))
    vectors = generator.standard_normal((dimension, _AT_ONCE))
    return vectors / np.linalg.norm(vectors, axis=0)


def _sorted(samples: Samples, axes: np.ndarray) -> np.ndarray:
    """Return the coordinates of all samples along this rank's share of some axes, ascending.

    All ranks must call it.

    Returns:
        (own axes, n) float64.
    """
    group = samples.group
    parts = [
        coordinates[:, group.rank :: group.size]
        for _, coordinates in group.around(samples.features @ axes)
    ]
    return np.sort(np.concatenate(parts).T, axis=1)


def squared_wasserstein(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the squared 2-Wasserstein distances, (k,), of sets of numbers, (k, n) and (k, m).

    Both ascend along their rows. The distance is that of the quantile functions: the integral of
    (Q_a - Q_b)^2 over [0, 1], on which both are constant between multiples of 1/n and of 1/m.
    """
    n, m = a.shape[1], b.shape[1]
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)  # over n m
    widths = np.diff(ends, prepend=0) / (n * m)
    gaps = a[:, (ends - 1) // m] - b[:, (ends - 1) // n]
    return gaps**2 @ widths
