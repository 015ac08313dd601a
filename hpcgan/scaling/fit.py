"""Measured points, their file (points.json), and the model that fits them best.

What points show directly is taken from them: the compute time from steps without exchange, on the
nodes with the most ranks (ranks of a node share its memory and cores) unless these had one batch
and others more, and its variation from single steps of single ranks. What is left is fitted by
least squares of the relative errors of the steps with exchange.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import optimize

from hpcgan.errors import ConfigError
from hpcgan.scaling.model import Model, Step, Traffic
from hpcgan.scaling.runs import read_json

# What may be fitted: a first guess and the bounds, in the units of ``Model``.
UNKNOWNS = {
    "overhead": (1e-3, 1e-7, 1e2),
    "within_bandwidth": (1e9, 1e5, 1e13),
    "between_bandwidth": (1e9, 1e5, 1e13),
    "between_latency": (1e-4, 1e-8, 1.0),
}


@dataclass(frozen=True, kw_only=True)
class Point(Traffic):
    """What was measured on one number of ranks; ``ValueError`` if a value is out of bounds."""

    ranks: int
    nodes: int  # on which they were, in equal numbers
    samples: int  # of a rank's batch
    step_seconds: float  # mean of the whole step
    limit_seconds: float  # mean of the same step of the no-communication baseline
    compute_seconds: Sequence[float]  # two or more single ones of the baseline, of any ranks

    def __post_init__(self) -> None:
        counts = (self.ranks, self.nodes, self.samples)
        shares = (self.group_share, self.batch_share)
        positive = (*counts, *shares, self.step_seconds, self.limit_seconds, *self.compute_seconds)
        numbers = (*positive, *self.traffic.values())
        if not all(type(each) in (int, float) and 0 <= each < math.inf for each in numbers):
            raise ValueError(f"numbers must be finite, and not below 0: {self}")
        if not all(positive) or not self.sends:
            raise ValueError(f"numbers must be above 0: {self}")
        whole = (*counts, self.exchanges, self.group_exchanges, self.hand_overs)
        if not all(type(each) is int for each in whole) or len(self.compute_seconds) < 2:
            raise ValueError(f"counts must be whole, and compute times 2 or more: {self}")
        if self.ranks % self.nodes:
            raise ValueError(f"{self.ranks} ranks are not divided equally over {self.nodes} nodes")


def read_points(path: Path) -> list[Point]:
    """Return the points of a JSON file: an object with ``Point``'s attributes, or a list of them.

    Raises:
        ConfigError: the file is missing or is not such a file.
    """

    def build(content: Any) -> list[Point]:
        return [Point(**each) for each in (content if isinstance(content, list) else [content])]

    return read_json(path, "list of measured points", build, "make it with hpcgan scale report")


@dataclass(frozen=True)
class Fit:
    """A model that was fitted."""

    # With as many ranks per node as the fullest that was measured, and batch and gradients of the
    # points on these nodes: of the first of those with the largest batch.
    model: Model
    unknowns: dict[str, float]  # the values that were fitted, by their names in UNKNOWNS
    errors: list[float]  # (model - measured) / measured of the points' steps, in their order


def fit(points: Sequence[Point], **known: Any) -> Fit:
    """Return the model that fits measured points best.

    Fitted are the overhead of an exchange, the bandwidth within a node if ranks share nodes, and
    bandwidth and latency between nodes if there are several.

    Args:
        points: at least as many with more than one rank as there are values to fit.
        known: attributes of ``Model`` that are not to be fitted.

    Raises:
        ConfigError: there are too few points.
    """
    exchanging = [point for point in points if point.ranks > 1]
    names = ["overhead"]
    if any(point.ranks > point.nodes for point in points):
        names.append("within_bandwidth")
    if any(point.nodes > 1 for point in points):
        names += ["between_bandwidth", "between_latency"]
    names = [name for name in names if name not in known]
    if len(exchanging) < len(names):
        raise ConfigError(
            f"the model has {len(names)} unknowns ({', '.join(names)}) and "
            f"{len(exchanging)} points with more than one rank; measure "
            f"{len(names) - len(exchanging)} more numbers of ranks with hpcgan scale"
        )
    start = replace(_without_fit(points), **known)
    values = _least_squares(exchanging, names, start)
    model = replace(start, **values)
    return Fit(model, values, _errors(points, model))


def predict_step(model: Model, point: Point) -> Step:
    """Return a step with a point's own ranks, bytes and measured compute time."""
    own = replace(
        model,
        samples=point.samples,
        compute_fixed=point.limit_seconds,
        compute_per_sample=0.0,
        ranks_per_node=point.ranks // point.nodes,
        **point.traffic,
    )
    return own.step(point.ranks)


def _without_fit(points: Sequence[Point]) -> Model:
    """Return the model with what needs no fit."""
    per_node = max(point.ranks // point.nodes for point in points)
    full = [point for point in points if point.ranks // point.nodes == per_node]
    one_batch = len({point.samples for point in full}) == 1
    fixed, per_sample = _compute(points if one_batch else full)
    largest = max(full, key=lambda point: point.samples)
    return Model(
        samples=largest.samples,
        compute_fixed=fixed,
        compute_per_sample=per_sample,
        variation=_variation(points),
        ranks_per_node=per_node,
        **largest.traffic,
    )


def _compute(points: Sequence[Point]) -> tuple[float, float]:
    """Return the fixed seconds of computing and those per sample.

    Non-negative least squares of the relative errors; with one batch, all counts as a sample's.
    """
    samples = np.array([point.samples for point in points], float)
    seconds = np.array([point.limit_seconds for point in points])
    if len(set(samples)) == 1:
        return 0.0, float(np.mean(seconds) / samples[0])
    columns = np.stack([1 / seconds, samples / seconds], axis=1)
    (fixed, per_sample), _ = optimize.nnls(columns, np.ones(len(points)))
    return float(fixed), float(per_sample)


def _variation(points: Sequence[Point]) -> float:
    """Return the pooled variation of compute times around the mean of their point."""
    times = [np.array(point.compute_seconds) for point in points]
    squares = sum(float(np.sum((each / each.mean() - 1) ** 2)) for each in times)
    return math.sqrt(squares / sum(len(each) - 1 for each in times))


def _least_squares(points: Sequence[Point], names: Sequence[str], known: Model) -> dict[str, Any]:
    """Return the values of the unknowns; on a logarithmic scale, so that they stay positive."""
    first, low, high = np.log([UNKNOWNS[name] for name in names]).T

    def values(logarithms: np.ndarray) -> dict[str, Any]:
        return dict(zip(names, np.exp(logarithms).tolist(), strict=True))

    def errors(logarithms: np.ndarray) -> list[float]:
        return _errors(points, replace(known, **values(logarithms)))

    # From several guesses, since a part that hardly counts has no slope to follow.
    guesses = [np.clip(first + shift, low, high) for shift in (0.0, -3.0, 3.0)]
    tight = {"xtol": 1e-12, "ftol": 1e-12, "gtol": 1e-12, "max_nfev": 2000}
    found = [optimize.least_squares(errors, each, bounds=(low, high), **tight) for each in guesses]
    return values(min(found, key=lambda result: result.cost).x)


def _errors(points: Sequence[Point], model: Model) -> list[float]:
    """Return the relative errors of the points' steps."""
    return [predict_step(model, point).total / point.step_seconds - 1 for point in points]
