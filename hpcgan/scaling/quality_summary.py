"""What the curves of a quality study say: how much sooner more shards reach the target.

The target is what one shard has at the end of its budget: the geometric mean over the seeds. How
soon it is reached is counted in steps: with each shard on a rank of its own, that is time, but for
what a step takes longer on more ranks. Ratios are of geometric means, with Student's t interval,
95%, of the logarithms, paired by seed. A run that never reaches the target counts as if it did at
its end, which is told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import geometric_mean, median

from hpcgan.gan.scaling_rule import steps_factor
from hpcgan.scaling.curves import Curve
from hpcgan.scaling.summary import Estimate, estimate


@dataclass(frozen=True)
class Row:
    """One number of shards with one rule."""

    shards: int
    rule: str
    curves: list[Curve]
    reached: int  # runs that have reached the target
    images: float  # to the target, median of the runs
    # Of one shard, divided by these: how much sooner.
    steps: Estimate
    predicted: dict[str, float]  # the same by the noise scale of D and of G, as far as it is known


@dataclass(frozen=True)
class Summary:
    """A quality study.

    Attributes:
        budget: images of one shard's runs.
        target: the Fréchet distance that is to be reached.
        floor: that of real samples.
        choosing: what the seeds of the choice say of each rule.
        rows: of each number of shards, with the rule that was chosen; one shard first.
    """

    budget: int
    target: float
    floor: float
    choosing: list[Row]
    rows: list[Row]


def target_of(curves: Iterable[Curve], seeds: Sequence[int]) -> float:
    """Return the target of some seeds."""
    ends = [each.at_budget() for each in curves if each.shards == 1 and each.seed in seeds]
    return geometric_mean(ends)


def best_rules(curves: Sequence[Curve], seeds: Sequence[int]) -> dict[int, str]:
    """Return the rule of each number of shards that reaches the target of some seeds first.

    Numbers whose runs have all failed are left out.
    """
    target = target_of(curves, seeds)
    found: dict[int, dict[str, float]] = defaultdict(dict)
    for (shards, rule), own in _groups(curves, seeds).items():
        if len(own) == len(seeds):
            found[shards][rule] = geometric_mean(_steps(each, target) for each in own)
    return {shards: min(rules, key=rules.__getitem__) for shards, rules in found.items()}


def summarize(curves: Sequence[Curve], choosing: int) -> Summary | None:
    """Return what curves say; None before there are enough of them.

    The last ``choosing`` seeds of one shard's are those by which rules were chosen.
    """
    seeds = sorted({each.seed for each in curves if each.shards == 1})
    evaluated, chosen_by = seeds[:-choosing], seeds[-choosing:]
    if not evaluated:
        return None
    rules = best_rules(curves, chosen_by)
    first = next(each for each in curves if each.shards == 1)
    return Summary(
        first.budget,
        target_of(curves, evaluated),
        first.floor,
        _rows(curves, chosen_by),
        [row for row in _rows(curves, evaluated) if rules.get(row.shards) == row.rule],
    )


def paired(ours: Sequence[float], theirs: Sequence[float]) -> Estimate:
    """Return the ratio of the geometric means of positive numbers that are paired."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return replace(estimate(ratios), value=geometric_mean(ratios))


def _groups(curves: Iterable[Curve], seeds: Sequence[int]) -> dict[tuple[int, str], list[Curve]]:
    """Return the runs of some seeds by shards and rule, each by seed."""
    groups: dict[tuple[int, str], list[Curve]] = defaultdict(list)
    for curve in sorted(curves, key=lambda each: (each.shards, each.rule, each.seed)):
        if curve.seed in seeds:
            groups[curve.shards, curve.rule].append(curve)
    return groups


def _rows(curves: Sequence[Curve], seeds: Sequence[int]) -> list[Row]:
    """Return a row for each number of shards and rule, of some seeds."""
    target = target_of(curves, seeds)
    groups = _groups(curves, seeds)
    one = {each.seed: each for each in groups[1, "none"]}
    found = []
    for (shards, rule), own in groups.items():
        alone = [_steps(one[each.seed], target) for each in own]
        reached = [each.to(target) is not None for each in own]
        found.append(
            Row(
                shards,
                rule,
                own,
                sum(reached),
                median(_steps(each, target) * each.batch for each in own),
                paired(alone, [_steps(each, target) for each in own]),
                _predicted(own),
            )
        )
    return found


def _steps(curve: Curve, target: float) -> float:
    """Return the steps after which a run has reached the target, or its last one."""
    images = curve.to(target)
    return (curve.images if images is None else images) / curve.batch


def _predicted(curves: Sequence[Curve]) -> dict[str, float]:
    """Return how much sooner the noise scales of some runs let their batch reach the target."""
    one, batch = curves[0].batch // curves[0].shards, curves[0].batch
    found = {}
    for name in ("d", "g"):
        scales = [getattr(each, f"noise_scale_{name}") for each in curves]
        known = [scale for scale in scales if scale is not None]
        if known:
            found[name.upper()] = 1 / steps_factor(geometric_mean(known), one, batch)
    return found
