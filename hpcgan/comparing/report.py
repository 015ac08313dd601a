"""What a comparison found: compare.json with every point, a table, curves and a page."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from hpcgan.comparing import draw, kept, summary
from hpcgan.comparing.kept import Pace, Place, Start
from hpcgan.comparing.summary import Against, Row, Summary
from hpcgan.comparing.ways import Way
from hpcgan.errors import ConfigError
from hpcgan.files import write_whole
from hpcgan.scaling.runs import counted, read_json
from hpcgan.scaling.table import aligned
from hpcgan.training.lock import RunLock

Starts = dict[str, dict[int, Start]]  # by way and seed

HEADINGS = (
    "way",
    "Fréchet, equal cost",
    "of synchronous (95%)",
    "",
    "Fréchet, equal images",
    "rank-s to target",
    "images/rank-s",
    "bytes/step",
)


def read(place: Place, ways: Sequence[Way], seeds: Sequence[int]) -> tuple[dict[str, Pace], Starts]:
    """Return the paces of all ways, which are there, and the starts that are.

    Raises:
        ConfigError: a file is not what it should be.
    """
    paces = {
        way.name: read_json(
            place.pace(way.name), "pace of a way", lambda found: Pace(**found), "move it away"
        )
        for way in ways
    }
    paths = {way.name: {seed: place.start(way.name, seed) for seed in seeds} for way in ways}
    return paces, {
        name: {seed: kept.read_start(path) for seed, path in own.items() if path.exists()}
        for name, own in paths.items()
    }


def keep(
    place: Place, ways: Sequence[Way], seeds: Sequence[int], ranks: int
) -> tuple[dict[str, Pace], Starts]:
    """Write compare.json anew, with all starts that are there; return what was ``read``."""
    lock = RunLock(place.out)
    lock.take()  # several jobs may write it: the last one must have read the starts of all
    try:
        paces, starts = read(place, ways, seeds)
        kept.write(place.out / "compare.json", content(ways, paces, starts, ranks))
    finally:
        lock.release()
    return paces, starts


def content(
    ways: Sequence[Way], paces: Mapping[str, Pace], starts: Starts, ranks: int
) -> dict[str, object]:
    """Return what compare.json holds; times apart, it depends on the starts alone."""
    every = [start for own in starts.values() for start in own.values()]
    return {
        "ranks": ranks,
        "rank_seconds": paces[ways[0].name].rank_seconds,
        "oversubscribed": any(pace.oversubscribed for pace in paces.values()),
        "features": every[0].features if every else None,
        "samples": every[0].samples if every else None,
        "floor": every[0].floor if every else None,
        "ways": {
            way.name: {
                "is_added": way.is_added,
                "baselines": way.baselines,
                "steps": paces[way.name].steps,
                "bytes_per_step": paces[way.name].bytes_per_step,
                "taken_bytes": {seed: s.taken_bytes for seed, s in starts[way.name].items()},
                "ended": {seed: s.ended for seed, s in starts[way.name].items() if s.ended},
                "points": [asdict(p) for s in starts[way.name].values() for p in s.points],
            }
            for way in ways
        },
    }


def write(place: Place, ways: Sequence[Way], seeds: Sequence[int], ranks: int) -> None:
    """Print the table, and write compare.json, compare.png and compare.html.

    Raises:
        ConfigError: a file is not what it should be.
        RunError: one cannot be written.
    """
    paces, starts = keep(place, ways, seeds, ranks)
    found = summary.summarize(ways, paces, starts)
    if found is None:
        print(f"{place.out}: no synchronous start has come to its end: there is no table")
        return
    floor = next(start.floor for own in starts.values() for start in own.values())
    remarks = notes(found, paces, ranks, floor)
    print(*aligned([HEADINGS, *map(cells, found.rows)]), *remarks, sep="\n")
    written = {"compare.html": b""}
    try:
        written["compare.png"] = draw.curves(starts, floor, found.common)
    except ConfigError as error:
        print(f"no curves: {error}")
    picture = written.get("compare.png")
    written["compare.html"] = _page(place, found, remarks, picture, paces).encode()
    for name, bytes_ in written.items():
        write_whole(place.out / name, bytes_)
    print(f"written to {place.out}: {', '.join(sorted([*written, 'compare.json']))}")


def cells(row: Row) -> list[str]:
    """Return a line of the table."""
    reference = row.against[0] if row.against else None
    reached = f"{number(row.to_target)} ({row.reached} of {row.starts})"
    if row.to_target == math.inf:
        reached = f"not reached ({row.reached} of {row.starts})"
    return [
        row.way.name + "*" * row.way.is_added,
        number(row.frechet),
        ratio(reference) if reference else "1",
        (reference.verdict if reference else "")
        + (f", {row.diverged} of {row.starts} diverged" if row.diverged else ""),
        number(row.frechet_at_images),
        reached,
        number(row.images_per_rank_second),
        f"{row.bytes_per_step:.0f}",
    ]


def ratio(found: Against) -> str:
    """Return a ratio with its interval."""
    if found.ratio is None:
        return "-"
    if found.ratio.low is None or found.ratio.high is None:
        return f"{found.ratio.value:.2f}"
    return f"{found.ratio.value:.2f} ({found.ratio.low:.2f} to {found.ratio.high:.2f})"


def number(value: float) -> str:
    """Return a number for people."""
    if math.isnan(value):
        return "-"
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def notes(found: Summary, paces: Mapping[str, Pace], ranks: int, floor: float) -> list[str]:
    """Return what a reader of the table must know, a sentence each."""
    common = found.common
    wanted = next(iter(paces.values())).rank_seconds
    starts = found.rows[0].starts
    lines = [
        f"medians of {starts} start{'s' * (starts > 1)} on {counted(ranks)}, at "
        f"{common.rank_seconds:.4g} rank-seconds, which all have used of the {wanted:g} that were "
        f"asked for, and at {common.images} images; target: "
        f"{number(common.target)}, where the synchronous way is then; floor of the distance: "
        f"{floor:.3g}; * a baseline that was added",
    ]
    if any(pace.oversubscribed for pace in paces.values()):
        lines.append(
            "more ranks than cores, which took turns on them: a rank-second is a second of a rank, "
            "not of a core"
        )
    for row in found.rows:
        lines += [
            f"{row.way.name} against {each.other}: {ratio(each)}, {each.verdict}"
            for each in row.against[1:]
        ]
    better = f"better than each other way: {found.best}"
    lines.append(better if found.best else "no way is shown to be better than each other one")
    return lines


def _page(
    place: Place,
    found: Summary,
    remarks: Sequence[str],
    picture: bytes | None,
    paces: Mapping[str, Pace],
) -> str:
    """Return the page, which needs no other file and no network."""
    pages = Environment(
        loader=ChoiceLoader([PackageLoader("hpcgan.comparing"), PackageLoader("hpcgan.scaling")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return pages.get_template("compare.html.j2").render(
        name=place.out.resolve().name,
        headings=HEADINGS,
        rows=[cells(row) for row in found.rows],
        remarks=remarks,
        picture=base64.b64encode(picture).decode() if picture else None,
        paces=paces,
    )
