"""The Fréchet distance between Gaussians that are fitted to two sets of feature vectors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hpcgan.evaluation.samples import Samples


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
    mean = np.sum((a.mean - b.mean) ** 2)
    values, vectors = np.linalg.eigh(a.covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    product = np.linalg.eigvalsh(root @ b.covariance @ root)
    cross = np.sqrt(np.maximum(product, 0)).sum()
    return float(mean + np.trace(a.covariance) + np.trace(b.covariance) - 2 * cross)


def frechet(samples: Samples, reference: Samples) -> dict[str, float]:
    """Return the Fréchet distance of two sets, in the features' units squared.

    All ranks must call it. With as few samples as the features have dimensions, or fewer, it is
    too large by far.
    """
    return {"frechet": distance(moments(samples), moments(reference))}
