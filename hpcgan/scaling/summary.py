"""What the runs of a study say together: medians and intervals for each number of ranks.

The interval of a mean step, speed-up or efficiency is Student's t interval, 95%, of the logarithms
of what each start gave, for times have a floor and ratios no zero; that of a ratio of two numbers
of ranks is Welch's. Starts are what is independent here: segments of one start are not. With one
start there is no interval.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from scipy import stats

from hpcgan.scaling.fit import Point
from hpcgan.scaling.runs import Quality, Run, counted

_LEVEL = 0.95
# One rank has no exchange. If its two ways differ by more than this, that is no chance.
_DISTURBED = 0.05


@dataclass(frozen=True)
class Estimate:
    """A median, and the bounds of its interval if there is one."""

    value: float
    low: float | None = None
    high: float | None = None

    def scaled(self, factor: float) -> Estimate:
        """Return it in another unit."""
        bounds = (each and factor * each for each in (self.low, self.high))
        return Estimate(factor * self.value, *bounds)


def estimate(values: Sequence[float], base: Sequence[float] | None = None) -> Estimate:
    """Return the median of positive values, with the interval of their geometric mean.

    Args:
        values: of one start each.
        base: of other starts; the ratio of the medians is then estimated, with its interval.
    """
    samples = [values] if base is None else [values, base]
    value = median(values) / (1.0 if base is None else median(base))
    if any(len(each) < 2 for each in samples):
        return Estimate(value)
    if all(len(set(each)) == 1 for each in samples):
        return Estimate(value, value, value)
    logs = [np.log(each) for each in samples]
    test = stats.ttest_1samp(*logs, 0) if base is None else stats.ttest_ind(*logs, equal_var=False)
    low, high = np.exp(test.confidence_interval(_LEVEL))
    return Estimate(value, float(low), float(high))


@dataclass(frozen=True)
class Row:
    """One number of ranks of one kind of study."""

    kind: str  # weak or strong
    ranks: int
    nodes: int
    runs: list[Run]  # the starts
    reference: int  # the smallest number of ranks, to which speed-up and efficiency are relative
    oversubscribed: bool  # whether some run had more ranks than cores
    is_even: bool  # whether all runs had as many ranks on each node and samples on each rank
    # Milliseconds per step; images per second of all ranks and of each; speed-up over the
    # reference, times the reference, and per rank (efficiency); a step of the no-communication
    # baseline divided by a step, paired by start.
    estimates: dict[str, Estimate]
    parts: dict[str, float]  # of a step, in milliseconds, medians of the starts
    slowest: str  # the rank that computed longest most often, and its node
    quality: Comparison | None  # of its kind, if it has training runs


@dataclass(frozen=True)
class Comparison:
    """All training runs of one kind, at what all of them have reached."""

    images: int  # the fewest that one of them learnt from
    seconds: float  # the fewest that one of them trained
    curves: dict[int, list[Quality]]  # of each number of ranks, its runs

    def distances(self, ranks: int) -> tuple[float, float] | None:
        """Return the distances at ``images`` and at ``seconds``, medians of the runs, if any."""
        if ranks not in self.curves:
            return None
        runs = self.curves[ranks]
        at_images = median(run.at("images", self.images) for run in runs)
        return at_images, median(run.at("seconds", self.seconds) for run in runs)


def compare(runs: Sequence[Quality]) -> dict[str, Comparison]:
    """Return the runs of each kind together."""
    compared = {}
    for kind in {run.kind for run in runs}:
        own = [run for run in runs if run.kind == kind]
        curves: dict[int, list[Quality]] = defaultdict(list)
        for run in sorted(own, key=lambda run: run.ranks):
            curves[run.ranks].append(run)
        images = min(run.points[-1].images for run in own)
        compared[kind] = Comparison(images, min(run.points[-1].seconds for run in own), curves)
    return compared


def summarize(runs: Iterable[Run], quality: Sequence[Quality] = ()) -> list[Row]:
    """Return a row for each kind, number of ranks and number of nodes, in this order, weak first.

    Runs of all jobs and repeats of a row count alike. ``quality`` are training runs whose samples
    were evaluated.
    """
    groups: dict[tuple[str, int, int], list[Run]] = defaultdict(list)
    for run in runs:
        groups[run.kind, run.ranks, run.nodes].append(run)
    bases = {kind: groups[min(key for key in groups if key[0] == kind)] for kind, _, _ in groups}
    compared = compare(quality)
    keys = sorted(groups, key=lambda key: (key[0] != "weak", *key))
    return [_row(groups[key], bases[key[0]], compared.get(key[0])) for key in keys]


def _row(runs: list[Run], base: list[Run], quality: Comparison | None) -> Row:
    """Return the row of some runs; ``base`` are those of the smallest number of ranks."""
    ranks, reference = runs[0].ranks, base[0].ranks
    rates, base_rates = ([run.images / run.step for run in each] for each in (runs, base))
    speed_up = Estimate(1.0) if runs is base else estimate(rates, base_rates)
    slowest = [f"rank {run.slowest_rank} on {run.hosts[run.slowest_rank]}" for run in runs]
    return Row(
        kind=runs[0].kind,
        ranks=ranks,
        nodes=runs[0].nodes,
        runs=runs,
        reference=reference,
        oversubscribed=any(run.oversubscribed for run in runs),
        is_even=all(run.is_even for run in runs),
        estimates={
            "step_ms": estimate([1e3 * run.step for run in runs]),
            "images_per_second": estimate(rates),
            "images_per_second_per_rank": estimate(rates).scaled(1 / ranks),
            "speed_up": speed_up.scaled(reference),
            "efficiency": speed_up.scaled(reference / ranks),
            "baseline_efficiency": estimate([run.baseline_step / run.step for run in runs]),
        },
        parts={name: 1e3 * median(run.parts[name] for run in runs) for name in runs[0].parts},
        slowest=max(sorted(set(slowest)), key=slowest.count),
        quality=quality,
    )


def by_kind(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows of each kind, in their order."""
    kinds: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        kinds[row.kind].append(row)
    return kinds


def warnings(rows: Sequence[Row]) -> list[str]:
    """Return what a reader of the rows must know, a sentence each."""
    found = []
    disturbed = "something else disturbed the machine, and other figures are no better"
    for row in rows:
        own, ratio = [], row.estimates["baseline_efficiency"].value
        if row.oversubscribed:
            own.append("more ranks than cores; they took turns on them")
        if len(row.runs) == 1:
            own.append("started once, so there are no intervals")
        if row.ranks == 1 and abs(ratio - 1) > _DISTURBED:
            same = "with and without exchange are the same there, and differ by"
            own.append(f"{same} {abs(ratio - 1):.0%}: {disturbed}")
        elif ratio > 1 + _DISTURBED:
            own.append(f"{ratio:.0%} of the no-communication baseline cannot be: {disturbed}")
        if any(run.skipped for run in row.runs):
            own.append("some updates were left out, since they were not finite")
        if not row.is_even:
            own.append("ranks or nodes have unequal shares, and wait for the fullest one")
        found += [f"{row.kind}, {counted(row.ranks)}: {each}" for each in own]
    runs = [run for row in rows for run in row.runs]
    if len({core for run in runs for core in run.cores}) > 1:
        found.append("not all ranks had the same number of cores")
    if len({str(run.versions) for run in runs}) > 1:
        found.append("not all runs had the same versions of the programs")
    return found


def measured_points(rows: Sequence[Row]) -> list[Point]:
    """Return the rows as points of the model; without those of unequal shares."""
    return [
        Point(
            ranks=row.ranks,
            nodes=row.nodes,
            samples=row.runs[0].samples,
            **row.runs[0].traffic,
            step_seconds=row.estimates["step_ms"].value / 1e3,
            limit_seconds=median(run.parts["compute"] + run.parts["input"] for run in row.runs),
            compute_seconds=[
                time
                for run in row.runs
                for rank in run.fullest
                for time in run.compute_seconds[rank]
            ],
        )
        for row in rows
        if row.is_even
    ]
