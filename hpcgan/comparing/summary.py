"""What the starts of a comparison say together: distances at equal cost, and paired ratios.

Two ways are compared seed by seed: the interval is Student's t, 95%, of the logarithms of the
ratios of their Fréchet distances. It is of this pair alone: of twenty such intervals one leaves out
1 by chance. Distances between two points are linear between them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from hpcgan.comparing.kept import Pace, Point, Start
from hpcgan.comparing.ways import Way
from hpcgan.scaling.summary import Estimate, estimate

Starts = Mapping[int, Start]  # of a way, by seed


@dataclass(frozen=True)
class Against:
    """A way against another.

    Attributes:
        other: its name.
        ratio: of the Fréchet distances, paired by seed; None without a seed that both have ended.
    """

    other: str
    ratio: Estimate | None

    @property
    def verdict(self) -> str:
        """What the interval says of the way."""
        ratio = self.ratio
        if ratio is None or ratio.low is None or ratio.high is None:
            return "no interval"
        if ratio.low <= 1 <= ratio.high:
            return "no difference shown"
        return "better" if ratio.high < 1 else "worse"


@dataclass(frozen=True)
class Row:
    """A way.

    Attributes:
        way: what it is.
        starts: how many there are.
        diverged: how many of them have ended early, or made samples that are not finite.
        steps: of a start.
        images_per_rank_second: median of the starts.
        bytes_per_step: that a rank sends on average, with what tournaments hand over.
        frechet: at equal cost, median of the starts; NaN if all have diverged.
        frechet_at_images: at equal images; NaN if it has learnt from more at its first point, too.
        to_target: rank-seconds to the target, median; infinite if fewer than half reach it.
        reached: how many starts reach it.
        against: the synchronous way first.
    """

    way: Way
    starts: int
    diverged: int
    steps: int
    images_per_rank_second: float
    bytes_per_step: float
    frechet: float
    frechet_at_images: float
    to_target: float
    reached: int
    against: list[Against]


@dataclass(frozen=True)
class Common:
    """Where ways are compared.

    Attributes:
        rank_seconds: what all starts have used.
        images: what all starts have learnt from.
        target: distance that the synchronous way reaches at that cost, the median of its starts.
    """

    rank_seconds: float
    images: int
    target: float


@dataclass(frozen=True)
class Summary:
    """A comparison.

    Attributes:
        common: where the ways are compared.
        rows: of the ways that have starts.
        best: the way that is better than each other one, if there is one.
    """

    common: Common
    rows: list[Row]
    best: str | None


def summarize(
    ways: Sequence[Way], paces: Mapping[str, Pace], starts: Mapping[str, Starts]
) -> Summary | None:
    """Return what the starts of all ways say; None as long as the synchronous one has none."""
    whole = {way.name: {s: e for s, e in starts[way.name].items() if is_whole(e)} for way in ways}
    reference = ways[0].name
    if not whole[reference]:
        return None
    ends = [start.points[-1] for own in whole.values() for start in own.values()]
    cost, images = min(end.rank_seconds for end in ends), min(end.images for end in ends)
    distances = {
        name: {seed: at(start.points, "rank_seconds", cost) for seed, start in own.items()}
        for name, own in whole.items()
    }
    common = Common(cost, images, median(distances[reference].values()))
    rows = []
    for way in ways:
        if starts[way.name]:
            others = [o for o in dict.fromkeys([reference, *way.baselines]) if o != way.name]
            found = [against(distances[way.name], distances[other], other) for other in others]
            rows.append(_row(way, paces[way.name], starts[way.name], common, found))
    return Summary(common, rows, best(distances))


def is_whole(start: Start) -> bool:
    """Return whether a start has come to its last step with finite samples at all points."""
    return not start.ended and all(point.frechet is not None for point in start.points)


def against(own: Mapping[int, float], others: Mapping[int, float], other: str) -> Against:
    """Return a way's distances, by seed, against those of another of this name."""
    seeds = sorted(own.keys() & others.keys())
    ratios = [own[seed] / others[seed] for seed in seeds]
    return Against(other, estimate(ratios) if ratios else None)


def best(distances: Mapping[str, Mapping[int, float]]) -> str | None:
    """Return the way whose distances, by seed, are better than those of each other way.

    One that has diverged with a seed with which another has not is none.
    """
    seeds = set().union(*distances.values())
    for name, own in distances.items():
        if own.keys() < seeds:
            continue
        others = [against(own, each, other) for other, each in distances.items() if other != name]
        if others and all(each.verdict == "better" for each in others):
            return name
    return None


def at(points: Sequence[Point], axis: str, place: float) -> float:
    """Return the Fréchet distance at some ``rank_seconds`` or ``images``."""
    places = [getattr(point, axis) for point in points]
    return float(np.interp(place, places, [_finite(point) for point in points]))


def cost_to(points: Sequence[Point], target: float) -> float:
    """Return the rank-seconds at which a distance is reached; infinity if it is not.

    A point below the target counts if the next one, where there is one, is not above it again.
    """
    values = [_finite(point) for point in points]
    for i, value in enumerate(values):
        if value <= target and (i + 1 == len(values) or values[i + 1] <= target):
            if i == 0:
                return points[0].rank_seconds
            before, now = points[i - 1], points[i]
            part = (values[i - 1] - target) / (values[i - 1] - value)
            return before.rank_seconds + part * (now.rank_seconds - before.rank_seconds)
    return math.inf


def _finite(point: Point) -> float:
    assert point.frechet is not None
    return point.frechet


def _row(way: Way, pace: Pace, starts: Starts, common: Common, found: list[Against]) -> Row:
    """Return the row of a way that has starts, with what it was found to be ``against``."""
    whole = [start for start in starts.values() if is_whole(start)]
    at_cost = [at(start.points, "rank_seconds", common.rank_seconds) for start in whole]
    at_images = [at(start.points, "images", common.images) for start in whole]
    is_comparable = all(start.points[0].images <= common.images for start in whole)
    costs = [cost_to(start.points, common.target) for start in whole]
    costs += [math.inf] * (len(starts) - len(whole))
    ends = [start.points[-1] for start in starts.values() if start.points]
    taken = median(start.taken_bytes for start in starts.values()) / pace.ranks / pace.steps
    return Row(
        way=way,
        starts=len(starts),
        diverged=len(starts) - len(whole),
        steps=pace.steps,
        images_per_rank_second=_median([end.images / end.rank_seconds for end in ends]),
        bytes_per_step=pace.bytes_per_step + taken,
        frechet=_median(at_cost),
        frechet_at_images=_median(at_images) if is_comparable else math.nan,
        to_target=median(costs),
        reached=sum(cost < math.inf for cost in costs),
        against=found,
    )


def _median(values: Sequence[float]) -> float:
    """Return a median; NaN of nothing."""
    return median(values) if values else math.nan
