"""The Fréchet distance between Gaussians that are fitted to two sets of feature vectors, and its
limit of many samples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hpcgan.evaluation.samples import Samples

# Parts of the samples whose distances the limit is taken from.
_SIZES = 15


class Moments(NamedTuple):
    """Mean, (d,), and covariance, (d, d), of feature vectors."""

    mean: np.ndarray
    covariance: np.ndarray


def moments(samples: Samples) -> Moments:
    """Return the moments of the samples of all ranks, 2 or more. All ranks must call it."""
    own, group, count = samples.features, samples.group, samples.count
    mean = group.sum_arrays(own.sum(axis=0)) / count
    centred = own - mean  # so that the sums keep their digits
    return Moments(mean, group.sum_arrays(centred.T @ centred) / (count - 1))


def distance(a: Moments, b: Moments) -> float:
    """Return the squared Fréchet distance of two Gaussians.

    |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a^(1/2) C_b C_a^(1/2))^(1/2))
    (Dowson and Landau, 1982; as FID in Heusel et al., 2017, equation 6).
    """
    return _distance(a, _square_root(a.covariance), b)


def _distance(a: Moments, root: np.ndarray, b: Moments) -> float:
    """Return the distance of two Gaussians; ``root`` is the square root of a's covariance."""
    mean = np.sum((a.mean - b.mean) ** 2)
    product = np.linalg.eigvalsh(root @ b.covariance @ root)
    cross = np.sqrt(np.maximum(product, 0)).sum()
    return float(mean + np.trace(a.covariance) + np.trace(b.covariance) - 2 * cross)


def _square_root(covariance: np.ndarray) -> np.ndarray:
    """Return the square root of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(covariance)
    root: np.ndarray = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root


def frechet(samples: Samples, reference: Samples) -> dict[str, float]:
    """Return the Fréchet distance of two sets, in the features' units squared.

    All ranks must call it. With as few samples as the features have dimensions, or fewer, it is
    too large by far.
    """
    return {"frechet": distance(moments(samples), moments(reference))}


def frechet_limit(samples: Samples, reference: Samples) -> dict[str, float]:
    """Return the Fréchet distance that infinitely many samples would have to the reference.

    That of n samples is too large by about a constant over n: it is the value at 0 of the line in
    1/n through the distances of 15 parts of the samples, each of which contains the one before
    (Chong and Forsyth, 2020, section 3). They have from max(n / 10, d + 1) samples to all; with
    d + 1 or fewer samples there is no figure. All ranks must call it.
    """
    dimension = samples.features.shape[1]
    if samples.count <= dimension + 1:
        return {}
    least = max(samples.count / 10, dimension + 1)
    sizes = np.rint(np.linspace(least, samples.count, _SIZES)).astype(int)
    distances = _nested_distances(samples, sizes, moments(reference))
    _, limit = np.polyfit(1 / sizes, distances, 1)
    return {"frechet_limit": float(limit)}


def _nested_distances(samples: Samples, sizes: np.ndarray, reference: Moments) -> np.ndarray:
    """Return the distances to a reference of the first samples, in random order, (len(sizes),).

    The ranks share out the distances. All ranks must call it.

    Args:
        samples: of which ``sizes[-1]`` are taken.
        sizes: ascending.
        reference: what they are compared with.
    """
    group, dimension = samples.group, samples.features.shape[1]
    root = _square_root(reference.covariance)
    # Files are often sorted by class, parts must not be.
    order = np.random.Generator(np.random.Philox(key=0)).permutation(samples.count)
    order = order[samples.numbers]
    centred = samples.features - reference.mean  # so that the sums keep their digits
    sums, squares = np.zeros(dimension), np.zeros((dimension, dimension))
    distances = np.zeros(len(sizes))
    mine, at = None, 0
    for place, size in enumerate(sizes):
        rows = centred[(order >= (sizes[place - 1] if place else 0)) & (order < size)]
        sums += group.sum_arrays(rows.sum(axis=0))
        squares += group.sum_arrays(rows.T @ rows)
        turn = place % group.size
        if turn == group.rank:
            mean = sums / size
            covariance = (squares - size * np.outer(mean, mean)) / (size - 1)
            mine, at = Moments(mean + reference.mean, covariance), place
        # All compute at the same time, and a rank holds one covariance.
        if mine is not None and (turn == group.size - 1 or place == len(sizes) - 1):
            distances[at] = _distance(reference, root, mine)
            mine = None
    return group.sum_arrays(distances)
