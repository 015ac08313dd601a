"""The model's unknowns from what was measured on few ranks.

What points tell directly is taken from them: the compute time from steps without exchange, on the
nodes with the most ranks (ranks of a node share its memory and cores) unless these had one batch
and others more, and its variation from single steps of single ranks. What is left, some of
``UNKNOWNS``, is fitted by least squares of the relative errors of the steps with exchange.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import optimize

from hpcgan.errors import ConfigError
from hpcgan.scaling.model import Algorithm, Link, Machine, Step, Work, step
from hpcgan.scaling.points import EAGER, TRIPS, Point

# What may be fitted: a first guess, and the bounds, in seconds, bytes a second and means.
UNKNOWNS = {
    "overhead": (1e-3, 1e-7, 1e2),
    "variation": (1e-2, 1e-5, 1.0),
    "within_bandwidth": (1e9, 1e5, 1e13),
    "between_bandwidth": (1e9, 1e5, 1e13),
    "between_latency": (1e-4, 1e-8, 1.0),
    "between_software": (1e9, 1e5, 1e13),
}
# Seconds of a message through a node's shared memory: too few to be seen beside the overhead.
_WITHIN_LATENCY = 1e-6
# Horovod's controller asks once in each cycle whether a tensor is ready on all ranks. That of the
# cycle before, which came too early, is on average half done when the last rank is ready.
_NEGOTIATIONS = 1.5


@dataclass(frozen=True)
class Fit:
    """A model that was fitted.

    Attributes:
        machine: with as many ranks a node as the fullest that was measured.
        work: of a step, with batch and gradients of the points on these nodes: of the first of
            those with the largest batch.
        unknowns: the values that were fitted, by their names in ``UNKNOWNS``.
        errors: (model - measured) / measured of the points' steps with exchange, in their order.
        knows_between: whether ``machine.between`` was measured or given; else it is without worth.
        batches: the different batches from which the compute time a sample comes.
    """

    machine: Machine
    work: Work
    unknowns: dict[str, float]
    errors: tuple[float, ...]
    knows_between: bool
    batches: int


def fit(points: Sequence[Point], algorithm: Algorithm = "ring") -> Fit:
    """Return the model that fits measured points best.

    Args:
        points: at least one, and at least as many with more than one rank as there are unknowns
            (told by ``unknowns_of``).
        algorithm: of the all-reduce with which they were measured.

    Raises:
        ConfigError: there are too few points, or some know the link between nodes and some do not.
    """
    names = unknowns_of(points)
    machine, work, batches = _known(points, algorithm)
    exchanging = [point for point in points if point.ranks > 1]
    if len(exchanging) < len(names):
        raise ConfigError(
            f"the model has {len(names)} unknowns ({', '.join(names)}) and "
            f"{len(exchanging)} points with more than one rank; measure "
            f"{len(names) - len(exchanging)} more numbers of ranks, or compute times and the link"
        )
    values = _least_squares(exchanging, names, machine, work)
    machine, work = _with(machine, work, values)
    errors = tuple(foretold(each, machine, work).total / each.step_seconds - 1 for each in points)
    between = any(point.nodes > 1 for point in points)
    return Fit(machine, work, values, errors, between, batches)


def unknowns_of(points: Sequence[Point]) -> list[str]:
    """Return the names of what must be fitted to points.

    A cost that grows with the bytes and one that does not cannot be told apart by points that send
    the same over a known link: then all that the link does not explain is overhead.
    """
    if not points:
        raise ConfigError("there are no measured points; measure some with hpcgan scale first")
    names = ["overhead"]
    if not any(point.compute_seconds for point in points):
        names.append("variation")
    if any(point.ranks > point.nodes for point in points):
        names.append("within_bandwidth")
    over_links = [point for point in points if point.nodes > 1]
    known = {point.link is not None for point in over_links}
    if known == {False}:
        names += ["between_bandwidth", "between_latency"]
    elif known == {True}:
        sent = {point.gradient_bytes * (1 - 1 / point.ranks) for point in over_links}
        names += ["between_software"] if len(sent) > 1 else []
    elif known:
        raise ConfigError("some points know the link between nodes and some do not")
    return names


def over_link(fitted: Fit, latency: float, bandwidth: float) -> Fit:
    """Return a fit with another link between the nodes, to foretell steps there.

    What the ranks do besides (their computing, overhead and copying of bytes) stays.

    Args:
        fitted: a fit to points on several nodes whose link was known, or on one node.
        latency: seconds one way.
        bandwidth: bytes a second.
    """
    link = replace(fitted.machine.between, latency=latency, bandwidth=bandwidth)
    return replace(fitted, machine=replace(fitted.machine, between=link), knows_between=True)


def _known(points: Sequence[Point], algorithm: Algorithm) -> tuple[Machine, Work, int]:
    """Return machine and work with what needs no fit, and the number of different batches."""
    per_node = max(point.ranks // point.nodes for point in points)
    full = [point for point in points if point.ranks // point.nodes == per_node]
    one_batch = len({point.samples for point in full}) == 1
    fixed, per_sample, batches = _compute(points if one_batch else full)
    links = [point.link for point in points if point.nodes > 1 and point.link]
    within = Link(_WITHIN_LATENCY, math.inf)
    between = links[0] if links else replace(within, trips=TRIPS, eager=EAGER)
    largest = max(full, key=lambda point: point.samples)
    work = Work(
        samples=largest.samples,
        compute_fixed=fixed,
        compute_per_sample=per_sample,
        variation=_variation(points),
        gradient_bytes=largest.gradient_bytes,
        exchanges=largest.exchanges,
        negotiations=_NEGOTIATIONS,
    )
    return Machine(between, within, per_node, algorithm), work, batches


def _compute(points: Sequence[Point]) -> tuple[float, float, int]:
    """Return the fixed seconds of computing, those a sample, and the number of batches.

    Non-negative least squares of the relative errors; with one batch, all is taken for a sample's.
    """
    samples = np.array([point.samples for point in points], float)
    limits = np.array([point.limit_seconds for point in points])
    batches = len(set(samples))
    if batches == 1:
        return 0.0, float(np.mean(limits) / samples[0]), 1
    columns = np.stack([1 / limits, samples / limits], axis=1)
    (fixed, per_sample), _ = optimize.nnls(columns, np.ones(len(points)))
    return float(fixed), float(per_sample), batches


def _variation(points: Sequence[Point]) -> float:
    """Return the pooled variation of compute times around the mean of their point; 0 for none."""
    times = [np.array(point.compute_seconds) for point in points if point.compute_seconds]
    squares = sum(float(np.sum((each / each.mean() - 1) ** 2)) for each in times)
    return math.sqrt(squares / sum(len(each) - 1 for each in times)) if times else 0.0


def _least_squares(
    points: Sequence[Point], names: Sequence[str], machine: Machine, work: Work
) -> dict[str, float]:
    """Return the values of the unknowns; on a logarithmic scale, so that they stay positive."""
    if not points:
        return {}
    first, low, high = np.log([UNKNOWNS[name] for name in names]).T

    def errors(logarithms: np.ndarray) -> list[float]:
        values = dict(zip(names, np.exp(logarithms).tolist(), strict=True))
        fitted = _with(machine, work, values)
        return [foretold(each, *fitted).total / each.step_seconds - 1 for each in points]

    # From several guesses, since a part that hardly counts has no slope to follow.
    starts = [np.clip(first + shift, low, high) for shift in (0.0, -3.0, 3.0)]
    found = [
        optimize.least_squares(
            errors, start, bounds=(low, high), xtol=1e-12, ftol=1e-12, gtol=1e-12, max_nfev=2000
        )
        for start in starts
    ]
    best = min(found, key=lambda result: result.cost)
    return dict(zip(names, np.exp(best.x).tolist(), strict=True))


def _with(machine: Machine, work: Work, values: dict[str, float]) -> tuple[Machine, Work]:
    """Return machine and work with the values of the unknowns."""
    parts: dict[str, dict[str, Any]] = {"work": {}, "within": {}, "between": {}}
    for name, value in values.items():
        part, _, attribute = name.partition("_")
        if attribute:
            parts[part][attribute] = value
        else:
            parts["work"][name] = value
    within = replace(machine.within, **parts["within"])
    between = replace(machine.between, **parts["between"])
    return replace(machine, between=between, within=within), replace(work, **parts["work"])


def foretold(point: Point, machine: Machine, work: Work) -> Step:
    """Return the model's step for a point's own ranks, bytes, link and measured compute time.

    Args:
        point: its link, if it tells one, takes the place of the machine's.
        machine: of a fit.
        work: of a fit: its overhead and variation.
    """
    between = machine.between
    if point.link:
        between = replace(between, latency=point.link.latency, bandwidth=point.link.bandwidth)
    machine = replace(machine, between=between, ranks_per_node=point.ranks // point.nodes)
    work = replace(
        work,
        samples=point.samples,
        compute_fixed=point.limit_seconds,
        compute_per_sample=0.0,
        gradient_bytes=point.gradient_bytes,
        exchanges=point.exchanges,
    )
    return step(machine, work, point.ranks)
