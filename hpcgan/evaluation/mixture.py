"""Mixtures of generators: which proportions bring the samples of several nearest to the data.

The mean and covariance of a mixture are those of its members, put together, so its Fréchet distance
is a formula of the proportions: no sample is drawn to try others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from hpcgan import turns
from hpcgan.evaluation.figures.frechet import Moments, distance

# Proportions below which a member is left out: its network would be loaded for next to nothing.
_LEAST = 1e-3
# By which eigenvalues are raised, in the gradient: a root has none at 0. A part of their mean.
_SMALL = 1e-6
# Of the search for the least distance.
_TOLERANCE, _STEPS, _SEARCHES = 1e-8, 1000, 2


def mixed(every: Sequence[Moments], weights: np.ndarray) -> Moments:
    """Return the moments of a mixture.

    Mean sum w_k m_k and covariance sum w_k (C_k + (m_k - m)(m_k - m)^T), where m is that mean.

    Args:
        every: the moments of the K members, means (d,) and covariances (d, d).
        weights: w, (K,), at least 0, with sum 1.
    """
    means = np.stack([each.mean for each in every])
    mean = weights @ means
    centred = means - mean
    covariance = (centred.T * weights) @ centred
    for weight, each in zip(weights, every, strict=True):
        covariance += weight * each.covariance
    return Moments(mean, covariance)


def fit(every: Sequence[Moments], reference: Moments) -> np.ndarray:
    """Return the weights of the mixture that is nearest to the reference by Fréchet distance, (K,).

    They are whole numbers of ten-thousandths (``turns.parts``) with sum 1, and those below 0.001
    (with more than 100 members, below a tenth of the mean) are 0. The mixture is never farther from
    the reference than the best member alone.

    The distance is convex in the weights, so that there are no other minima to be caught in: it is
    a linear function of them, minus 2 tr (R^(1/2) C R^(1/2))^(1/2) with the reference's covariance
    R; the mixture's covariance C is concave in the weights, and the trace of the root concave and
    monotone in C. The minimum is found by sequential quadratic programming (Kraft, 1988), from the
    members in equal parts.

    Args:
        every: the moments of the K members.
        reference: those of the data.
    """
    count = len(every)
    alone = [distance(each, reference) for each in every]
    best = np.eye(count)[int(np.argmin(alone))]
    if count == 1:
        return best
    found = _without_small(_nearest(_Problem(every, reference)))
    if distance(mixed(every, found), reference) >= min(alone):
        return best
    return found


def _without_small(weights: np.ndarray) -> np.ndarray:
    """Return weights without those that are too small, as ``fit`` gives them."""
    # Of a thousand members all might be: those that remain have more than a tenth of the mean.
    least = min(_LEAST, 0.1 / len(weights))
    found: np.ndarray = turns.parts(np.where(weights < least, 0, weights)) / turns.PERIOD
    return found


class _Problem:
    """The squared Fréchet distance of mixtures to a reference, and its gradient.

    Attributes:
        count: K, of the members.
        spread: trace of the reference's covariance.
    """

    def __init__(self, every: Sequence[Moments], reference: Moments) -> None:
        """Take the moments of the K members and of the reference."""
        # Relative to the reference's mean, so that the sums keep their digits.
        self._means = np.stack([each.mean - reference.mean for each in every])
        squares = [each.covariance for each in every]
        self._squares = np.stack(squares) + self._means[:, :, None] * self._means[:, None]
        values, vectors = np.linalg.eigh(reference.covariance)
        self.count = len(every)
        self._root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
        self.spread = float(values.sum())
        self._small = max((_SMALL * self.spread / len(values)) ** 2, np.finfo(float).tiny)

    def __call__(self, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the distance of a mixture, and its derivatives by the weights, (K,).

        With G = I - R^(1/2) (R^(1/2) C R^(1/2))^(-1/2) R^(1/2), and means m_k and m relative to
        the reference's, the derivative by w_k is

            2 m . m_k + tr G (C_k + m_k m_k^T) - 2 m^T G m_k.
        """
        mean = weights @ self._means
        covariance = np.tensordot(weights, self._squares, 1) - np.outer(mean, mean)
        values, vectors = np.linalg.eigh(self._root @ covariance @ self._root)
        roots = np.sqrt(np.maximum(values, 0) + self._small)
        turned = vectors.T @ self._root
        slope = np.eye(len(mean)) - (turned.T / roots) @ turned
        found = mean @ mean + np.trace(covariance) + self.spread - 2 * roots.sum()
        gradient = 2 * self._means @ (mean - slope @ mean)
        gradient += np.tensordot(self._squares, slope, 2)
        return float(found), gradient


def _nearest(problem: _Problem) -> np.ndarray:
    """Return the weights of the least distance, (K,)."""
    import scipy.optimize  # rank 0 alone needs it, and it takes a while

    weights = np.full(problem.count, 1 / problem.count)
    # The search ends when a step lowers the distance by less than ``_TOLERANCE`` times that at its
    # beginning, which may be far above the least: so it begins again from what it has found.
    for _ in range(_SEARCHES):
        unit = max(problem(weights)[0], 1e-9 * problem.spread, np.finfo(float).tiny)
        with threadpool_limits(1, user_api="blas"):  # SciPy's, which has a library of its own
            found = scipy.optimize.minimize(
                lambda weights, unit: tuple(each / unit for each in problem(weights)),
                weights,
                (unit,),
                jac=True,
                method="SLSQP",
                bounds=[(0, 1)] * problem.count,
                constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
                options={"ftol": _TOLERANCE, "maxiter": _STEPS},
            )
        weights = np.maximum(found.x, 0)
        weights /= weights.sum()
    return weights
