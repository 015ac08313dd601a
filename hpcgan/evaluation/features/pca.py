"""Principal components of the data as features: linear, fast, and the same everywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from threadpoolctl import threadpool_limits

from hpcgan.blocks import BLOCK
from hpcgan.evaluation.features import flat
from hpcgan.evaluation.samples import Samples

MOST = 64  # components, unless asked for another number

_MOST_EXACT = 4096  # values of a sample up to which the covariance has 128 MiB or less
# Of the random subspace: columns beyond the components, and products with the covariance.
_EXTRA_COLUMNS = 16
_POWER = 6


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

    Moments are summed over the ranks. Above ``_MOST_EXACT`` values a sample the components are
    those of a random subspace that holds nearly all of theirs, since a matrix of values x values
    would not fit. All ranks must call it.
    """
    values = int(np.prod(samples.images.shape[1:]))
    number = max(1, min(most, values, samples.count - 1))
    total = sum((rows.sum(axis=0) for rows in _blocks(samples, 0.0)), np.zeros(values))
    mean = samples.group.sum_arrays(total) / samples.count
    find = _exact if values <= _MOST_EXACT else _randomised
    # Each axis is an eigenvector or its negative, by the last bits of the sums: take rank 0's.
    return PrincipalComponents(mean, samples.group.broadcast_array(find(samples, mean, number)))


def _blocks(samples: Samples, mean: np.ndarray | float) -> Iterator[np.ndarray]:
    """Yield this rank's samples minus ``mean``, (n, values), at most ``BLOCK`` at a time."""
    for at in range(0, len(samples.images), BLOCK):
        yield flat(samples.images[at : at + BLOCK]) - mean


def _exact(samples: Samples, mean: np.ndarray, number: int) -> np.ndarray:
    """Return on rank 0 the first axes, (values, number), from the whole covariance.

    All ranks must call it.
    """
    squares = np.zeros((len(mean), len(mean)))
    for rows in _blocks(samples, mean):
        squares += rows.T @ rows
    covariance = samples.group.sum_arrays(squares) / samples.count
    if not samples.group.is_root:
        return np.zeros((len(mean), number))
    import scipy.linalg  # rank 0 alone needs it, and it takes a while

    largest = (len(mean) - number, len(mean) - 1)
    with threadpool_limits(1, user_api="blas"):  # SciPy's, which has a library of its own
        _, axes = scipy.linalg.eigh(covariance, subset_by_index=largest)
    return axes[:, ::-1]


def _randomised(samples: Samples, mean: np.ndarray, number: int) -> np.ndarray:
    """Return the first axes, (values, number), from products of the covariance with thin matrices.

    Algorithm 4.4 of Halko, Martinsson and Tropp, 2011 (https://arxiv.org/abs/0909.4061), on the
    covariance: its power times random columns spans nearly the space of its first axes. The
    columns depend on their number alone.
    """
    group = samples.group
    columns = [
        np.random.Generator(np.random.Philox(key=column)).standard_normal(len(mean))
        for column in range(min(number + _EXTRA_COLUMNS, len(mean)))
    ]
    basis = np.stack(columns, axis=1)
    for _ in range(_POWER):
        product = np.zeros_like(basis)
        for rows in _blocks(samples, mean):
            product += rows.T @ (rows @ basis)
        basis, _ = np.linalg.qr(group.sum_arrays(product))
        basis = group.broadcast_array(basis)
    squares = np.zeros((basis.shape[1], basis.shape[1]))
    for rows in _blocks(samples, mean):
        within = rows @ basis
        squares += within.T @ within
    _, axes = np.linalg.eigh(group.sum_arrays(squares) / samples.count)
    return basis @ axes[:, ::-1][:, :number]
