"""The figures of a study as a table, for people and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from hpcgan.scaling.runs import counted
from hpcgan.scaling.summary import Estimate, Row

PARTS = ("compute", "input", "waiting", "exchange")

_INTERVALS = (
    "step_ms",
    "images_per_second",
    "images_per_second_per_rank",
    "speed_up",
    "efficiency",
    "limit_efficiency",
)


def text(rows: Sequence[Row]) -> str:
    """Return a table for people, a part of it for each kind."""
    lines = []
    for kind in dict.fromkeys(row.kind for row in rows):
        of_kind = [row for row in rows if row.kind == kind]
        table = [list(headings(of_kind[0])), *(cells(row) for row in of_kind)]
        widths = [max(len(line[place]) for line in table) for place in range(len(table[0]))]
        lines.append(f"{kind} scaling; medians [95% intervals]; parts of a step in milliseconds")
        for each in table:
            lines.append("  ".join(word.rjust(w) for word, w in zip(each, widths, strict=True)))
    return "\n".join(lines)


def headings(row: Row) -> tuple[str, ...]:
    """Return the names of ``cells``."""
    base = f"of {counted(row.base[0].ranks)}"
    names = ("ranks", "nodes", "starts", "ms/step", "images/s", "images/s/rank", "speed-up")
    return (*names, base, "of limit", *PARTS, *quality_headings(row))


def quality_headings(row: Row) -> list[str]:
    """Return the names of the last of ``cells``; none for a study without training runs."""
    if row.quality is None:
        return []
    return [
        f"Fréchet at {row.quality.images} images",
        f"Fréchet at {row.quality.seconds:.3g} s",
    ]


def cells(row: Row) -> list[str]:
    """Return a line of the table."""
    split = row.split
    return [
        str(row.ranks) + "*" * row.oversubscribed,
        str(row.nodes),
        str(len(row.runs)),
        _number(row.step.scaled(1e3)),
        _number(row.rate),
        _number(row.rank_rate),
        _number(row.speed_up),
        _percent(row.efficiency),
        _percent(row.limit_efficiency),
        *(_number(Estimate(1e3 * split[name])) for name in PARTS),
        *("-" if each is None else f"{each:.4g}" for each in _distances(row)),
    ]


def to_csv(rows: Sequence[Row]) -> str:
    """Return the rows as CSV: a line each, with _low and _high for the bounds of intervals.

    Times are in milliseconds, but for those of the last columns, in seconds; efficiencies are
    ratios; a bound that does not exist is empty, as is the Fréchet distance without training runs.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    bounded = [f"{name}{end}" for name in _INTERVALS for end in ("", "_low", "_high")]
    writer.writerow(
        ["kind", "ranks", "nodes", "starts", "oversubscribed", *bounded]
        + [f"{name}_ms" for name in PARTS]
        + ["slowest", "equal_images", "frechet_at_equal_images"]
        + ["equal_seconds", "frechet_at_equal_seconds"]
    )
    for row in rows:
        estimates = [row.step.scaled(1e3), row.rate, row.rank_rate, row.speed_up]
        estimates += [row.efficiency, row.limit_efficiency]
        ends = [end for each in estimates for end in (each.value, each.low, each.high)]
        writer.writerow(
            [row.kind, row.ranks, row.nodes, len(row.runs), int(row.oversubscribed)]
            + ["" if end is None else f"{end:.6g}" for end in ends]
            + [f"{1e3 * row.split[name]:.6g}" for name in PARTS]
            + [row.slowest]
            + ["" if each is None else f"{each:.6g}" for each in _quality(row)]
        )
    return out.getvalue()


def _distances(row: Row) -> list[float | None]:
    """Return the Fréchet distances at equal images and at equal time; none without runs."""
    quality = row.quality
    if quality is None:
        return []
    return [quality.at_equal_images(row.ranks), quality.at_equal_time(row.ranks)]


def _quality(row: Row) -> list[float | None]:
    """Return images, distance, seconds and distance; each None if there is none."""
    if row.quality is None:
        return [None] * 4
    at_images, at_time = _distances(row)
    return [row.quality.images, at_images, row.quality.seconds, at_time]


def _number(value: Estimate) -> str:
    """Return a value and its interval with three digits or more."""
    return _with_interval(value, ".0f" if value.value >= 100 else "#.3g")


def _percent(value: Estimate) -> str:
    return _with_interval(value, ".1%")


def _with_interval(value: Estimate, digits: str) -> str:
    if value.low is None or value.high is None:
        return f"{value.value:{digits}}"
    return f"{value.value:{digits}} [{value.low:{digits}}, {value.high:{digits}}]"
