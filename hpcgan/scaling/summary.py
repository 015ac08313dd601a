"""What the runs of a study say together: medians and intervals for each number of ranks.

The interval of a mean step, speed-up or efficiency is Student's t interval, 95%, of the logarithms
of what each start gave, for times have a floor and ratios no zero; that of a ratio of two numbers
of ranks is Welch's. Starts are what is independent here: segments of one start are not. With one
start there is no interval.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, median, variance

from scipy import stats

from hpcgan.scaling.points import Point
from hpcgan.scaling.quality import Compared, Quality, compare
from hpcgan.scaling.runs import Run, counted

_LEVEL = 0.95
# One rank has no exchange. What its two ways differ by more than this is no chance.
_DISTURBED = 0.05


@dataclass(frozen=True)
class Estimate:
    """A median, and the bounds of its interval if there is one."""

    value: float
    low: float | None = None
    high: float | None = None

    def scaled(self, factor: float) -> Estimate:
        """Return it in another unit."""
        if self.low is None or self.high is None:
            return Estimate(self.value * factor)
        return Estimate(self.value * factor, self.low * factor, self.high * factor)


def estimate(values: Sequence[float]) -> Estimate:
    """Return the median of positive values, with the interval of their geometric mean."""
    return ratio(values, None)


def ratio(values: Sequence[float], base: Sequence[float] | None) -> Estimate:
    """Return the ratio of the medians of two samples of positive values, with its interval.

    Args:
        values: above the line.
        base: below it; None for an exact 1.
    """
    samples = [values] if base is None else [values, base]
    value = median(values) / (1.0 if base is None else median(base))
    if any(len(each) < 2 for each in samples):
        return Estimate(value)
    logs = [[math.log(each) for each in sample] for sample in samples]
    squares = [variance(each) / len(each) for each in logs]
    total = sum(squares)
    if total == 0:
        return Estimate(value, value, value)
    freedom = total**2 / sum(
        own**2 / (len(each) - 1) for own, each in zip(squares, logs, strict=True)
    )
    middle = mean(logs[0]) - (mean(logs[1]) if base is not None else 0.0)
    half = float(stats.t.ppf((1 + _LEVEL) / 2, freedom)) * math.sqrt(total)
    return Estimate(value, math.exp(middle - half), math.exp(middle + half))


@dataclass(frozen=True)
class Row:
    """One number of ranks of one kind of study.

    Attributes:
        runs: that it comes from.
        base: those of the smallest number of ranks, to which speed-up and efficiency are relative.
        quality: the training runs of its kind, of all numbers of ranks; None if there are none.
    """

    runs: tuple[Run, ...]
    base: tuple[Run, ...]
    quality: Compared | None = None

    @property
    def kind(self) -> str:
        """Weak or strong."""
        return self.runs[0].kind

    @property
    def ranks(self) -> int:
        """The number of ranks."""
        return self.runs[0].ranks

    @property
    def nodes(self) -> int:
        """The number of nodes."""
        return self.runs[0].nodes

    @property
    def is_base(self) -> bool:
        """Whether the others are relative to this one."""
        return self.runs == self.base

    @property
    def oversubscribed(self) -> bool:
        """Whether some run had more ranks than cores."""
        return any(run.oversubscribed for run in self.runs)

    @property
    def step(self) -> Estimate:
        """Seconds of a step."""
        return estimate([run.step for run in self.runs])

    @property
    def rate(self) -> Estimate:
        """Images a second of all ranks."""
        return estimate([run.images_per_second for run in self.runs])

    @property
    def rank_rate(self) -> Estimate:
        """Images a second and rank."""
        return self.rate.scaled(1 / self.ranks)

    @property
    def speed_up(self) -> Estimate:
        """Images a second in those of the smallest number of ranks, times that number."""
        if self.is_base:
            return Estimate(float(self.ranks))
        rates = [[run.images_per_second for run in each] for each in (self.runs, self.base)]
        return ratio(*rates).scaled(self.base[0].ranks)

    @property
    def efficiency(self) -> Estimate:
        """Speed-up a rank."""
        return self.speed_up.scaled(1 / self.ranks)

    @property
    def limit_efficiency(self) -> Estimate:
        """A step of the same ranks without exchange, in steps with it; paired by start."""
        return estimate([run.limit_efficiency for run in self.runs])

    @property
    def split(self) -> dict[str, float]:
        """The parts of a step, in seconds: medians of the starts."""
        parts: dict[str, Callable[[Run], float]] = {
            "compute": lambda run: run.compute,
            "input": lambda run: run.input,
            "waiting": lambda run: run.waiting,
            "exchange": lambda run: run.communication,
        }
        return {name: median(map(part, self.runs)) for name, part in parts.items()}

    @property
    def slowest(self) -> str:
        """The rank that computed longest most often, and its node."""
        names = [f"rank {run.slowest_rank} on {run.hosts[run.slowest_rank]}" for run in self.runs]
        return max(sorted(set(names)), key=names.count)


def summarize(runs: Iterable[Run], quality: Sequence[Quality] = ()) -> list[Row]:
    """Return a row for each kind, number of ranks and number of nodes, in this order, weak first.

    Runs of all jobs and repeats of a row count alike.

    Args:
        runs: that were timed.
        quality: training runs whose samples were judged.
    """
    groups: dict[tuple[str, int, int], list[Run]] = defaultdict(list)
    for run in runs:
        groups[run.kind, run.ranks, run.nodes].append(run)
    bases = {kind: min(key for key in groups if key[0] == kind) for kind, _, _ in groups}
    keys = sorted(groups, key=lambda key: (key[0] != "weak", *key))
    compared = compare(quality)
    return [
        Row(tuple(groups[key]), tuple(groups[bases[key[0]]]), compared.get(key[0])) for key in keys
    ]


def warnings(rows: Sequence[Row]) -> list[str]:
    """Return what a reader of the rows must know, a sentence each."""
    found = []
    for row in rows:
        who = f"{row.kind}, {counted(row.ranks)}: "
        if row.oversubscribed:
            found.append(f"{who}more ranks than cores; they took turns on them")
        if len(row.runs) == 1:
            found.append(f"{who}started once, so there are no intervals")
        off = abs(row.limit_efficiency.value - 1)
        if row.ranks == 1 and off > _DISTURBED:
            found.append(
                f"{who}with and without exchange are the same there, and differ by {off:.0%}: "
                "something else disturbed the machine, and other figures are no better"
            )
        elif row.limit_efficiency.value > 1 + _DISTURBED:
            found.append(
                f"{who}{row.limit_efficiency.value:.0%} of the limit cannot be: something else "
                "disturbed the machine, and other figures are no better"
            )
        if any(run.skipped for run in row.runs):
            found.append(f"{who}some updates were left out, since they were not finite")
        if not all(run.is_even for run in row.runs):
            found.append(f"{who}ranks or nodes have unequal shares, and wait for the fullest one")
    if len({core for row in rows for run in row.runs for core in run.cores}) > 1:
        found.append("not all ranks had the same number of cores")
    if len({str(run.versions) for row in rows for run in row.runs}) > 1:
        found.append("not all runs had the same versions of the programs")
    return found


def points(rows: Sequence[Row]) -> list[Point]:
    """Return the rows as points of the model; without those of unequal shares."""
    return [
        Point(
            ranks=row.ranks,
            nodes=row.nodes,
            samples=row.runs[0].samples,
            gradient_bytes=row.runs[0].gradient_bytes,
            exchanges=row.runs[0].exchanges,
            step_seconds=row.step.value,
            limit_seconds=median(run.compute + run.input for run in row.runs),
            compute_seconds=tuple(
                time for run in row.runs for own in run.compute_seconds for time in own
            ),
        )
        for row in rows
        if all(run.is_even for run in row.runs)
    ]
