"""Principal components of the data as features: linear, fast, and the same everywhere."""

from __future__ import annotations

import hashlib

import numpy as np

from hpcgan.blocks import BLOCK
from hpcgan.evaluation.features import flat
from hpcgan.evaluation.samples import Samples

MOST = 64  # components, unless asked for another number


class PrincipalComponents:
    """An ``Extractor``: coordinates along the directions of the data's largest variance."""

    def __init__(self, mean: np.ndarray, axes: np.ndarray) -> None:
        """Take the data's mean, (values,), and the axes, (values, d), orthonormal."""
        self.mean = mean
        self.axes = axes
        self.dimension = axes.shape[1]
        self.name = f"pca{self.dimension}"
        content = hashlib.sha256(mean.tobytes() + np.ascontiguousarray(axes).tobytes())
        self.identity = f"{self.name} {content.hexdigest()}"

    def features(self, images: np.ndarray) -> np.ndarray:
        """Return the coordinates, (n, d) float64, of samples (n, *sample_shape)."""
        parts = [images[begin : begin + BLOCK] for begin in range(0, len(images), BLOCK)]
        rows = [(flat(part) - self.mean) @ self.axes for part in parts]
        return np.concatenate([np.zeros((0, self.dimension)), *rows])


def fit(samples: Samples, most: int = MOST) -> PrincipalComponents:
    """Return the first min(most, values, n - 1) principal components of samples.

    Moments are summed over the ranks. All ranks must call it.
    """
    group = samples.group
    values = int(np.prod(samples.images.shape[1:]))
    number = max(1, min(most, values, samples.count - 1))
    parts = [samples.images[at : at + BLOCK] for at in range(0, len(samples.images), BLOCK)]
    total = sum((flat(part).sum(axis=0) for part in parts), np.zeros(values))
    mean = group.sum_arrays(total) / samples.count
    squares = np.zeros((values, values))
    for part in parts:
        rows = flat(part) - mean
        squares += rows.T @ rows
    _, axes = np.linalg.eigh(group.sum_arrays(squares) / samples.count)
    # Each axis is an eigenvector or its negative, by the last bits of the sums: take rank 0's.
    return PrincipalComponents(mean, group.broadcast_array(axes[:, ::-1][:, :number]))
