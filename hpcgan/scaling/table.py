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
    return (*names, base, "of limit", *PARTS)


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
    ]


def to_csv(rows: Sequence[Row]) -> str:
    """Return the rows as CSV: a line each, with _low and _high for the bounds of intervals.

    Times are in milliseconds, efficiencies are ratios; a bound that does not exist is empty.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    bounded = [f"{name}{end}" for name in _INTERVALS for end in ("", "_low", "_high")]
    writer.writerow(
        ["kind", "ranks", "nodes", "starts", "oversubscribed", *bounded]
        + [f"{name}_ms" for name in PARTS]
        + ["slowest"]
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
        )
    return out.getvalue()


def _number(value: Estimate) -> str:
    """Return a value and its interval with three digits or more."""
    return _with_interval(value, ".0f" if value.value >= 100 else "#.3g")


def _percent(value: Estimate) -> str:
    return _with_interval(value, ".1%")


def _with_interval(value: Estimate, digits: str) -> str:
    if value.low is None or value.high is None:
        return f"{value.value:{digits}}"
    return f"{value.value:{digits}} [{value.low:{digits}}, {value.high:{digits}}]"
