"""What ``hpcgan scale quality`` leaves in DIR/curves: a file for each training run.

A run has one seed, so many shards and one rule for its learning rates; its curve is the Fréchet
distance by the images that it has learnt from.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from hpcgan.errors import ConfigError
from hpcgan.scaling.runs import Start, check_same, read_start

# Points on the way to the end of one shard's budget. After it, one follows when there are by as
# large a part more images.
POINTS = 16


@dataclass(frozen=True)
class CurvePoint:
    """What a run had reached."""

    images: int
    frechet: float


@dataclass(frozen=True)
class Curve(Start):
    """A training run and its points, the first before training."""

    lists: ClassVar[Mapping[str, type]] = {"points": CurvePoint}

    shards: int
    rule: str  # optimizer.scaling
    seed: int
    budget: int  # images of one shard's run
    batch: int  # images of a step, of all shards
    points: list[CurvePoint]
    floor: float  # the distance of real samples to others
    noise_scale_d: float | None  # of its gradients, in images, over the whole run
    noise_scale_g: float | None

    def is_valid(self) -> bool:
        """Return whether a study can have written it."""
        values = [value for point in self.points for value in dataclasses.astuple(point)]
        return (
            super().is_valid() and len(self.points) > 1 and all(0 <= v < math.inf for v in values)
        )

    @property
    def images(self) -> int:
        """Images that the run has learnt from."""
        return self.points[-1].images

    def at_budget(self) -> float:
        """Return the distance at the end of one shard's budget."""
        return next(point.frechet for point in self.points if point.images >= self.budget)

    def is_enough(self, target: float | None) -> bool:
        """Return whether the run has come to its end, or to the target before it, if there is one.

        One that has ended at another target may not have.
        """
        has_ended = self.images >= limit(self.shards, self.budget)
        return has_ended or (target is not None and self.to(target) is not None)

    def to(self, target: float) -> float | None:
        """Return the images after which the distance is the ``target``; None if it never is.

        That is where the line between two points crosses it, if the point after these is below it,
        too.
        """
        return crossing(self.points, target)


def crossing(points: Sequence[CurvePoint], target: float) -> float | None:
    """Return as ``Curve.to``."""
    for before, point, after in zip(points, points[1:], points[2:], strict=False):
        if point.frechet <= target and after.frechet <= target:
            fall = before.frechet - point.frechet
            part = (before.frechet - target) / fall if before.frechet > target else 0.0
            return before.images + part * (point.images - before.images)
    return None


def limit(shards: int, budget: int) -> float:
    """Return the images at which a run ends, if it does not reach its target before.

    These are the steps of one shard's budget and a tenth; one shard makes twice its steps.
    """
    return 2.0 * budget if shards == 1 else 1.1 * shards * budget


def grid(budget: int, last: float) -> list[float]:
    """Return the images at which points are due, up to ``last`` or the next, the first above 0."""
    places = [budget * number / POINTS for number in range(1, POINTS + 1)]
    while places[-1] < last * (1 - 1e-9):
        places.append(places[-1] * (1 + 1 / POINTS))
    return places


def path_of(directory: Path, shards: int, rule: str, seed: int) -> Path:
    """Return the file of a run."""
    return directory / "curves" / f"shards-{shards:04d}-{rule}-seed-{seed:03d}.json"


def read_curves(directory: Path) -> list[Curve]:
    """Return the runs of a study, by the names of their files; perhaps none.

    Raises:
        ConfigError: a file is not of this kind, or two have different configurations.
    """
    paths = sorted((directory / "curves").glob("*.json"))
    found = {path: read_start(path, Curve) for path in paths}
    check_same(found)
    if len({curve.budget for curve in found.values()}) > 1:
        raise ConfigError(f"{directory}: its curves have different budgets; use another directory")
    return list(found.values())
