"""The Fréchet distance between two sets of samples, in a space of principal components."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Components:
    """A linear space fitted to samples.

    Attributes:
        mean: (features,), the samples' mean.
        axes: (features, components), orthonormal, the largest variance first.
    """

    mean: np.ndarray
    axes: np.ndarray

    def project(self, samples: np.ndarray) -> np.ndarray:
        """Return (N, components) coordinates of ``samples``, (N, ...)."""
        return (flat(samples) - self.mean) @ self.axes


def flat(samples: np.ndarray) -> np.ndarray:
    """Return samples as (N, features) float64; uint8 scaled to [-1, 1]."""
    rows = samples.reshape(len(samples), -1).astype(np.float64)
    return rows / 127.5 - 1 if samples.dtype == np.uint8 else rows


def principal_components(chunks: Iterable[np.ndarray], number: int) -> Components:
    """Return the first ``number`` principal components of samples.

    Memory holds one of ``chunks``, (n, ...) each, one at least, and (features, features) sums.
    """
    count = 0
    shift = total = squares = np.zeros(())
    for chunk in chunks:
        rows = flat(chunk)
        if not count:  # near the mean, so that the sums' difference keeps its digits
            shift = rows.mean(axis=0)
        rows -= shift
        count += len(rows)
        total = total + rows.sum(axis=0)
        squares = squares + rows.T @ rows
    mean = total / count
    _, axes = np.linalg.eigh(squares / count - np.outer(mean, mean))
    return Components(mean + shift, axes[:, ::-1][:, :number])


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the squared Fréchet distance of Gaussians fitted to two sets of features.

    |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a^(1/2) C_b C_a^(1/2))^(1/2))
    (Dowson and Landau, 1982; as FID in Heusel et al., 2017, equation 6).

    Args:
        a: (N, features), N > 1.
        b: (M, features), M > 1.
    """
    mean = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2)
    cov_a, cov_b = np.atleast_2d(np.cov(a.T)), np.atleast_2d(np.cov(b.T))
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    product = np.linalg.eigvalsh(root @ cov_b @ root)
    cross = np.sqrt(np.maximum(product, 0)).sum()
    return float(mean + np.trace(cov_a) + np.trace(cov_b) - 2 * cross)
