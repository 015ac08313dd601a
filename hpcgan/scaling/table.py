"""The figures of a study as a table, for people and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from hpcgan.scaling.runs import counted
from hpcgan.scaling.summary import Estimate, Row, by_kind


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Return lines of a table as text, with their columns aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(map(str.rjust, line, widths)) for line in lines]


def csv_text(lines: Iterable[Iterable[Any]]) -> str:
    """Return lines of a table as CSV; None is an empty cell."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(lines)
    return out.getvalue()


def text(rows: Sequence[Row]) -> str:
    """Return a table for people, a part of it for each kind."""
    lines = []
    for kind, own in by_kind(rows).items():
        lines.append(f"{kind} scaling; medians [95% intervals]; parts of a step in milliseconds")
        body = [
            [f"{value} [{', '.join(i)}]" if i else value for value, *i in cells(row)] for row in own
        ]
        lines += aligned([headings(own[0]), *body])
    return "\n".join(lines)


def headings(row: Row) -> list[str]:
    """Return the names of ``cells``."""
    names = ["ranks", "nodes", "starts", "ms/step", "images/s", "images/s/rank", "speed-up"]
    names += [f"of {counted(row.reference)}", "of baseline", *row.parts]
    if row.quality:
        names.append(f"Fréchet at {row.quality.images} images")
        names.append(f"Fréchet at {row.quality.seconds:.3g} s")
    return names


def cells(row: Row) -> list[list[str]]:
    """Return a line of the table: of each cell its value and the bounds of its interval, if any."""
    found = [[str(row.ranks) + "*" * row.oversubscribed], [str(row.nodes)], [str(len(row.runs))]]
    for name, each in [*row.estimates.items(), *((k, Estimate(v)) for k, v in row.parts.items())]:
        numbers = [number for number in (each.value, each.low, each.high) if number is not None]
        digits = ".0f" if max(numbers) >= 100 else "#.3g"
        digits = ".1%" if name.endswith("efficiency") else digits
        found.append([f"{number:{digits}}" for number in numbers])
    return found + [["-" if each is None else f"{each:.4g}"] for each in _distances(row)]


def _distances(row: Row) -> Sequence[float | None]:
    """Return the Fréchet distances at equal images and at equal time; nothing without runs."""
    return (row.quality.distances(row.ranks) or (None, None)) if row.quality else ()


def to_csv(rows: Sequence[Row]) -> str:
    """Return the rows as CSV: a line each, with _low and _high for the bounds of intervals.

    Times are in milliseconds, but for those of the last columns, in seconds; efficiencies are
    ratios; a bound that does not exist is empty, as is the Fréchet distance without training runs.
    """
    records = [_record(row) for row in rows]
    return csv_text([records[0], *(record.values() for record in records)])


def _record(row: Row) -> dict[str, Any]:
    """Return a line of the CSV file, by the names of its columns."""
    record: dict[str, Any] = {"kind": row.kind, "ranks": row.ranks, "nodes": row.nodes}
    record |= {"starts": len(row.runs), "oversubscribed": int(row.oversubscribed)}
    for name, each in row.estimates.items():
        record |= {name: each.value, f"{name}_low": each.low, f"{name}_high": each.high}
    at_images, at_time = _distances(row) or (None, None)
    record |= {f"{name}_ms": value for name, value in row.parts.items()} | {
        "slowest": row.slowest,
        "equal_images": row.quality and row.quality.images,
        "frechet_at_equal_images": at_images,
        "equal_seconds": row.quality and row.quality.seconds,
        "frechet_at_equal_seconds": at_time,
    }
    return {name: f"{v:.6g}" if isinstance(v, float) else v for name, v in record.items()}
