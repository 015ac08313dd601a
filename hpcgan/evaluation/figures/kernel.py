"""The kernel distance (KID): an estimate without bias, of few samples too, and its error."""

from __future__ import annotations

import math

import numpy as np

from hpcgan.evaluation.samples import Samples, Tile

# Disjoint parts of the samples, of which the standard error is taken.
PARTS = 20


def kernel(samples: Samples, reference: Samples) -> dict[str, float]:
    """Return the squared maximum mean discrepancy with the kernel (x.y / d + 1)^3.

    Without bias, so that it may be below 0 (Gretton et al., 2012, equation 3; as KID in Binkowski
    et al., 2018). ``kernel_error`` is the standard error of the mean of the same figure of 20
    disjoint parts, of which part j is the samples with a number of j modulo 20, and an upper bound
    of that of ``kernel``. Parts need 2 samples of each set: of fewer than 40, there are fewer
    parts; of fewer than 4, no error.

    All ranks must call it. A set needs 2 samples.
    """
    parts = max(1, min(PARTS, samples.count // 2, reference.count // 2))
    within, within_reference, between = (
        _sums(a, b, parts)
        for a, b in ((samples, samples), (reference, reference), (samples, reference))
    )
    n, m = (_counts(each.count, parts) for each in (samples, reference))
    distances = (
        within / (n * (n - 1)) + within_reference / (m * (m - 1)) - 2 * between / (n * m)
    ).tolist()
    found = {"kernel": distances[0]}
    if parts > 1:
        found["kernel_error"] = float(np.std(distances[1:], ddof=1)) / math.sqrt(parts)
    return found


def _counts(count: int, parts: int) -> np.ndarray:
    """Return the number of samples of all and of each part, (1 + parts,)."""
    return np.array([count, *(len(range(part, count, parts)) for part in range(parts))], float)


def _sums(a: Samples, b: Samples, parts: int) -> np.ndarray:
    """Return the kernel's sum over the pairs of two sets, and over those of each part.

    A sample makes no pair with itself. All ranks must call it.

    Returns:
        (1 + parts,) float64.
    """
    sums = np.zeros(1 + parts)
    for theirs in b.all_tiles():
        for ours in a.own_tiles():
            base = ours.features @ theirs.features.T
            base /= ours.features.shape[1]
            base += 1
            values = base * base * base
            if a is b and ours.first == theirs.first:
                np.fill_diagonal(values, 0)
            sums[0] += values.sum()
            for part in range(parts):
                rows, columns = (_of_part(each, part, parts) for each in (ours, theirs))
                sums[1 + part] += values[rows, columns].sum()
    return a.group.sum_arrays(sums)


def _of_part(tile: Tile, part: int, parts: int) -> slice:
    """Return which samples of a tile belong to a part."""
    return slice((part - tile.first) % parts, None, parts)
