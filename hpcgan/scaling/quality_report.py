"""The table, curves and numbers of a quality study (``quality_study``)."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from hpcgan.errors import ConfigError
from hpcgan.files import write_whole
from hpcgan.scaling import draw
from hpcgan.scaling.curves import read_curves
from hpcgan.scaling.quality_summary import Row, Summary, summarize
from hpcgan.scaling.runs import read_runs
from hpcgan.scaling.summary import Estimate
from hpcgan.scaling.summary import summarize as summarize_runs
from hpcgan.scaling.table import aligned

CHOOSING = 2  # the last seeds of a study: by them rules are chosen
# Beside a scaling study: more shards on more ranks, and the same batch on more ranks.
_IN_TIME = {"weak": "sooner in time", "strong": "same batch, in time"}


def write(directory: Path) -> list[str]:
    """Print the table of DIR; write quality.txt, quality.json and, with matplotlib, quality.png.

    Returns the names of what is written: nothing if DIR has no quality study, or too few runs yet.

    Raises:
        ConfigError: its runs do not belong together.
        RunError: a file cannot be written.
    """
    found = summarize(read_curves(directory), CHOOSING)
    if found is None:
        return []
    lines = text(found, _time_factors(directory))
    print(lines)
    content = {
        "quality.txt": f"{lines}\n".encode(),
        "quality.json": f"{json.dumps(dataclasses.asdict(found), indent=1)}\n".encode(),
    }
    try:
        content["quality.png"] = draw.quality_study(found)
    except ConfigError as error:
        print(f"no curves: {error}")
    for name, each in content.items():
        write_whole(directory / name, each)
    return sorted(content)


def text(found: Summary, factors: dict[str, dict[int, float]]) -> str:
    """Return the tables for people.

    ``factors`` are as ``_time_factors`` returns them.
    """
    first = found.rows[0]
    number = len(first.curves)
    lines = [
        f"target: Fréchet distance {found.target:.4g} (floor {found.floor:.4g}), what one shard "
        f"has after {found.budget} images; {number} seeds",
        "how much sooner than one shard, in steps, so with each shard on a rank of its own: ratios "
        "of geometric means [paired 95% intervals]",
    ]
    names = ["shards", "rule", "reached", "images to target", "sooner", "by noise of D", "of G"]
    kinds = [kind for kind in ("weak", "strong") if factors.get(kind)]
    names += [_IN_TIME[kind] for kind in kinds]
    lines += aligned([names, *(_cells(row, factors, kinds) for row in found.rows)])
    missed = [row for row in found.rows if row.reached < len(row.curves)]
    lines += [
        f"{row.shards} shards: {len(row.curves) - row.reached} of {len(row.curves)} runs never "
        "reached the target, and count as if they had at their ends"
        for row in missed
    ]
    lines.append(f"rules, by {CHOOSING} other seeds: how much sooner each was")
    rules = list(dict.fromkeys(row.rule for row in found.choosing if row.shards > 1))
    sooner = {(row.shards, row.rule): _of_choice(row) for row in found.choosing}
    shards = sorted({row.shards for row in found.choosing if row.shards > 1})
    table = [[str(each), *(sooner.get((each, rule), "-") for rule in rules)] for each in shards]
    return "\n".join([*lines, *aligned([["shards", *rules], *table])])


def _cells(row: Row, factors: dict[str, dict[int, float]], kinds: list[str]) -> list[str]:
    """Return a line of the table."""
    cells = [str(row.shards), row.rule, f"{row.reached} of {len(row.curves)}"]
    cells += [f"{row.images:.0f}", _ratio(row.steps)]
    cells += [f"{row.predicted[n]:.2f}" if n in row.predicted else "-" for n in ("D", "G")]
    for kind in kinds:
        factor = factors[kind].get(row.shards)
        if factor is None:
            cells.append("-")
        else:
            cells.append(f"{factor * (row.steps.value if kind == 'weak' else 1):.2f}")
    return cells


def _of_choice(row: Row) -> str:
    never = len(row.curves) - row.reached
    return f"{row.steps.value:.2f}" + (f" ({never} never)" if never else "")


def _ratio(ratio: Estimate) -> str:
    bounds = "" if ratio.low is None else f" [{ratio.low:.2f}, {ratio.high:.2f}]"
    return f"{ratio.value:.2f}{bounds}"


def _time_factors(directory: Path) -> dict[str, dict[int, float]]:
    """Return of each kind of scaling study in DIR the speed of steps on ranks, beside one rank.

    Of a weak one, steps per second; of a strong one the speed-up. Both by the number of ranks.
    """
    if not any((directory / "runs").glob("*.json")):
        return {}
    found: dict[str, dict[int, float]] = {"weak": {}, "strong": {}}
    for row in summarize_runs(read_runs(directory).values()):
        if row.reference == 1:
            speed = row.estimates["efficiency" if row.kind == "weak" else "speed_up"]
            found[row.kind][row.ranks] = speed.value
    return found
