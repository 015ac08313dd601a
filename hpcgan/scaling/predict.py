"""From measured points to weak and strong curves on any number of ranks, with their bottlenecks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from hpcgan.errors import ConfigError
from hpcgan.scaling.fit import Fit, fit
from hpcgan.scaling.model import Algorithm, Step, step
from hpcgan.scaling.points import Point
from hpcgan.scaling.simulate import simulate

Kind = Literal["weak", "strong"]

_SIMULATED = 100  # steps of each size


@dataclass(frozen=True)
class Row:
    """What is foretold for one number of ranks.

    Attributes:
        ranks: how many.
        nodes: that they fill.
        samples: of a rank's batch.
        step: the parts of a step.
        simulated: seconds of a step, the mean of some with drawn compute times.
        efficiency: weak: the time that a step computes, in its whole time; strong: the speed-up
            over one rank, in ranks.
    """

    ranks: int
    nodes: int
    samples: float
    step: Step
    simulated: float
    efficiency: float

    @property
    def samples_per_second(self) -> float:
        """Samples that all ranks together learn from in a second."""
        return self.ranks * self.samples / self.step.total


@dataclass(frozen=True)
class Prediction:
    """A curve.

    Attributes:
        kind: weak (each rank keeps its batch) or strong (all ranks share one).
        fit: the model.
        rows: one a size.
        measured: (ranks, efficiency) of the points that lie on this curve.
    """

    kind: Kind
    fit: Fit
    rows: tuple[Row, ...]
    measured: tuple[tuple[int, float], ...]


def predict(
    points: Sequence[Point],
    sizes: Sequence[int],
    kind: Kind = "weak",
    global_batch: int | None = None,
    algorithm: Algorithm = "ring",
    machine: Mapping[str, Any] | None = None,
    work: Mapping[str, Any] | None = None,
) -> Prediction:
    """Fit the model to measured points and foretell steps on other numbers of ranks.

    Args:
        points: of a weak study, a strong one, or both.
        sizes: numbers of ranks.
        kind: of the curve.
        global_batch: samples of all ranks in a step, for a strong curve; None for the points',
            if all of them that share a batch have the same.
        algorithm: of the all-reduce with which the points were measured.
        machine: attributes of ``model.Machine`` that are known, or asked for, otherwise: the link
            between nodes, ranks a node, the file system.
        work: such attributes of ``model.Work``: the bytes of a sample and of a checkpoint.

    Raises:
        ConfigError: too few points for the fit, no batch for a strong curve or only one measured,
            more ranks than samples, or several nodes without a link between them.
    """
    fitted = fit(points, algorithm)
    changed_machine = replace(fitted.machine, **(machine or {}))
    fitted = replace(
        fitted,
        machine=changed_machine,
        work=replace(fitted.work, **(work or {})),
        knows_between=fitted.knows_between or "between" in (machine or {}),
    )
    largest = max(sizes, default=1)
    if changed_machine.nodes(largest) > 1 and not fitted.knows_between:
        raise ConfigError(
            f"{largest} ranks fill {changed_machine.nodes(largest)} nodes and all points were "
            "measured on one; measure on several, or give the link between nodes (--link)"
        )
    if kind == "weak":
        measured = [
            (each.ranks, each.limit_seconds / each.step_seconds)
            for each in points
            if each.samples == fitted.work.samples
        ]
        rows = [_row(fitted, size, fitted.work.samples, None) for size in sizes]
        return Prediction(kind, fitted, tuple(rows), tuple(measured))
    batch = _global_batch(points, fitted, largest, global_batch)
    alone = step(changed_machine, replace(fitted.work, samples=batch), 1).total
    rows = [_row(fitted, size, batch / size, alone) for size in sizes]
    measured = [
        (each.ranks, alone / each.ranks / each.step_seconds)
        for each in points
        if each.ranks * each.samples == batch
    ]
    return Prediction(kind, fitted, tuple(rows), tuple(measured))


def text(prediction: Prediction) -> str:
    """Return a table: a line a size, with the parts of a step in milliseconds."""
    fitted = prediction.fit
    values = ", ".join(f"{name} {value:.3g}" for name, value in fitted.unknowns.items())
    worst = max((abs(error) for error in fitted.errors), default=0.0)
    lines = [
        f"fitted to {len(fitted.errors)} points, at most {worst:.1%} off them: {values}",
        f"{prediction.kind} scaling, milliseconds a step:",
        f"{'ranks':>7} {'nodes':>6} {'samples':>8} {'compute':>9} {'stragglers':>10} "
        f"{'exchange':>9} {'input':>9} {'checkpoint':>10} {'step':>9} {'simulated':>9} "
        f"{'samples/s':>10} {'efficiency':>10}  bottleneck",
    ]
    for row in prediction.rows:
        parts = row.step
        lines.append(
            f"{row.ranks:7d} {row.nodes:6d} {row.samples:8.4g} {1e3 * parts.compute:9.2f} "
            f"{1e3 * parts.stragglers:10.2f} {1e3 * parts.exchange:9.2f} {1e3 * parts.input:9.2f} "
            f"{1e3 * parts.checkpoint:10.2f} {1e3 * parts.total:9.2f} {1e3 * row.simulated:9.2f} "
            f"{row.samples_per_second:10.4g} {row.efficiency:10.1%}  {parts.bottleneck}"
        )
    return "\n".join(lines)


def _row(fitted: Fit, ranks: int, samples: float, alone: float | None) -> Row:
    """Return a row; ``alone`` is the step of one rank for a strong curve."""
    machine, work = fitted.machine, replace(fitted.work, samples=samples)
    parts = step(machine, work, ranks)
    efficiency = parts.compute / parts.total if alone is None else alone / ranks / parts.total
    without = replace(work, checkpoint_every=0)  # which would need as many steps as are between two
    drawn = simulate(machine, without, ranks, _SIMULATED, np.random.default_rng(ranks))
    simulated = float(drawn.mean()) + parts.checkpoint
    return Row(ranks, machine.nodes(ranks), samples, parts, simulated, efficiency)


def _global_batch(
    points: Sequence[Point], fitted: Fit, largest: int, global_batch: int | None
) -> int:
    """Return the batch that the ranks of a strong curve share, if it can be divided so far."""
    if fitted.batches == 1:
        raise ConfigError(
            "all points had one batch a rank, so they do not tell how long a smaller one takes; "
            "measure with hpcgan scale strong"
        )
    if global_batch is None:
        batches = [point.ranks * point.samples for point in points]
        shared = {batch for batch in batches if batches.count(batch) > 1}
        if len(shared) != 1:
            raise ConfigError("the points share no one global batch; give that of the strong curve")
        (global_batch,) = shared
    if largest > global_batch:
        raise ConfigError(
            f"{largest} ranks cannot share a batch of {global_batch} samples; "
            "give a larger batch or fewer ranks"
        )
    return global_batch
