"""Histograms of two sets over all ranks, and how far apart they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hpcgan.blocks import BLOCK
from hpcgan.evaluation.samples import Samples
from hpcgan.group import Group

# Of the values of images: as many as uint8 has.
_VALUE_BINS = 256


def histogram(samples: Samples, reference: Samples) -> dict[str, float]:
    """Return the separation power of the histograms of all values of all samples.

    The values are as in the data file, in 256 bins. All ranks must call it.
    """
    ours, theirs = (_values(each.images) for each in (samples, reference))
    return {"histogram": float(separation(samples.group, ours, theirs, _VALUE_BINS)[0])}


def _values(images: np.ndarray) -> list[np.ndarray]:
    """Return the values of images, (values, 1) of a block each, without copying them."""
    return [images[at : at + BLOCK].reshape(-1, 1) for at in range(0, len(images), BLOCK)]


def separation(
    group: Group, ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray], bins: int
) -> np.ndarray:
    """Return the separation power of the histograms of some quantities, (m,), each in [0, 1].

    The bins are of equal width between the least and the largest value of ``theirs``; what lies
    below or above is counted in two bins of their own. All ranks must call it.

    Args:
        group: the ranks.
        ours: values of each quantity, (n, m) each; a rank may have none.
        theirs: those of the reference.
        bins: between the extremes of the reference, at least 1.
    """
    low, high = _extremes(group, theirs)
    counted = [group.sum_arrays(_count(each, low, high, bins)) for each in (ours, theirs)]
    return separation_power(*counted)


def separation_power(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return 1/2 sum (h_a - h_b)^2 / (h_a + h_b) of histograms that sum up to 1.

    0 if they are equal, 1 if no bin has counts of both (triangular discrimination: Diefenbacher et
    al., 2020, arXiv:2009.03796, equation 15; as CaloChallenge's figure of all its histograms).

    Args:
        a: counts, (m, bins), of m quantities.
        b: the same of the other set.
    """
    shares_a, shares_b = (each / each.sum(axis=-1, keepdims=True) for each in (a, b))
    total = shares_a + shares_b
    terms = (shares_a - shares_b) ** 2 / np.where(total > 0, total, 1)
    power: np.ndarray = terms.sum(axis=-1) / 2
    return power


def _extremes(group: Group, parts: Sequence[np.ndarray]) -> np.ndarray:
    """Return the least and the largest finite value of each quantity, (2, m), of all ranks.

    All ranks must call it.
    """
    own = []
    for part in parts:
        values, is_finite = part.astype(np.float64), np.isfinite(part)
        least = values.min(axis=0, where=is_finite, initial=np.inf)
        own.append([least.tolist(), values.max(axis=0, where=is_finite, initial=-np.inf).tolist()])
    extremes = np.array([each for rank in group.gather_json(own) for each in rank], float)
    return np.stack([extremes[:, 0].min(axis=0), extremes[:, 1].max(axis=0)])


def _count(parts: Sequence[np.ndarray], low: np.ndarray, high: np.ndarray, bins: int) -> np.ndarray:
    """Return this rank's counts of values, (m, bins + 2) int64; the first are below ``low``.

    The last are above ``high`` or no numbers.
    """
    quantities, width = len(low), np.where(high > low, high - low, 1)
    counts = np.zeros(quantities * (bins + 2), np.int64)
    for part in parts:
        is_inside = (part >= low) & (part <= high)
        scaled = np.where(is_inside, (part - low) / width * bins, 0)
        inside = np.minimum(scaled.astype(np.int64), bins - 1) + 1
        places = np.where(is_inside, inside, np.where(part < low, 0, bins + 1))
        places += np.arange(quantities) * (bins + 2)
        counts += np.bincount(places.ravel(), minlength=len(counts))
    return counts.reshape(quantities, bins + 2)
