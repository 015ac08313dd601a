"""``hpcgan scale``: its words, each of which leads to one function."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from hpcgan.command import whole_number
from hpcgan.world import World

_number = whole_number(1)


def add(commands: Any) -> None:
    """Add ``scale`` to the commands of an ``argparse`` parser."""
    scale = commands.add_parser("scale", help="measure how training scales, report and predict it")
    actions = scale.add_subparsers(dest="action", required=True, metavar="weak|strong|...")
    _add_study(actions, "weak", "measure with one batch per rank, more samples on more ranks")
    _add_study(actions, "strong", "measure one training run, divided over more and more ranks")
    quality = actions.add_parser(
        "quality",
        help="measure how much sooner more shards reach what one shard reaches",
        usage="hpcgan scale quality CONFIG.yaml [--section.key VALUE ...] --shards N,N,... "
        "--out DIR [--seeds K]",
        allow_abbrev=False,
    )
    quality.add_argument("config", metavar="CONFIG.yaml", help="the run's configuration")
    shards = "beside one; train.steps is the budget of one shard"
    quality.add_argument("--shards", type=_numbers, required=True, metavar="N,N,...", help=shards)
    quality.add_argument("--seeds", type=whole_number(1, 1000), default=5, metavar="K")
    out = "may hold a weak or strong study, whose times then count"
    quality.add_argument("--out", type=Path, required=True, metavar="DIR", help=out)
    quality.set_defaults(run=_quality, takes_keys=True)
    report = actions.add_parser("report", help="table, CSV, curves and page of all that is in DIR")
    report.add_argument("directory", type=Path, metavar="DIR")
    report.set_defaults(run=_report, needs_ranks=False)
    predict = actions.add_parser("predict", help="predict steps on other numbers of ranks")
    predict.add_argument("directory", type=Path, metavar="DIR", help="of a study")
    predict.add_argument("--sizes", type=_numbers, required=True, metavar="N,N,...")
    out = "for predict.png and predict.txt (default: DIR)"
    predict.add_argument("--out", type=Path, metavar="DIR", help=out)
    link = "between nodes, if the study had one: latency one way, and bytes per second"
    predict.add_argument("--link", type=_link, metavar="SECONDS,BYTES", help=link)
    predict.set_defaults(run=_predict, needs_ranks=False)


def _add_study(actions: Any, kind: str, what: str) -> None:
    """Add a kind of study."""
    study = actions.add_parser(
        kind,
        help=what,
        usage=f"hpcgan scale {kind} CONFIG.yaml [--section.key VALUE ...] --ranks N,N,... "
        "--out DIR [--repeats N] [--seconds S] [--quality IMAGES]",
        allow_abbrev=False,
    )
    study.add_argument("config", metavar="CONFIG.yaml", help="the run's configuration")
    study.add_argument("--ranks", type=_numbers, required=True, metavar="N,N,...")
    study.add_argument("--out", type=Path, required=True, metavar="DIR", help="may hold others")
    study.add_argument("--repeats", type=_number, default=3, help="starts of each number of ranks")
    seconds = "of measuring at each start, with the exchange and without it each (default: 10)"
    study.add_argument("--seconds", type=_seconds, default=10.0, help=seconds)
    quality = "also train for this many images on each number of ranks, and evaluate the samples"
    study.add_argument("--quality", type=_number, default=0, metavar="IMAGES", help=quality)
    study.set_defaults(run=_study, takes_keys=True, kind=kind)


def _study(world: World, arguments: argparse.Namespace) -> int:
    from hpcgan.scaling import study

    return world.all_or_raise(lambda: study.run(world, arguments))


def _quality(world: World, arguments: argparse.Namespace) -> int:
    from hpcgan.scaling import quality_study

    return world.all_or_raise(lambda: quality_study.run(world, arguments))


def _report(arguments: argparse.Namespace) -> None:
    from hpcgan.scaling import report

    report.write(arguments.directory)


def _predict(arguments: argparse.Namespace) -> None:
    from hpcgan.scaling import predict

    out = arguments.out or arguments.directory
    predict.write(arguments.directory, arguments.sizes, out, arguments.link)


def _numbers(word: str) -> list[int]:
    """Return whole numbers from 1, ascending, each once."""
    return sorted({_number(each.strip()) for each in word.split(",")})


def _seconds(word: str) -> float:
    """Return a time above 0."""
    seconds = _float(word)
    if not 0 < seconds < 1e6:
        raise argparse.ArgumentTypeError(f"{word!r} is no number of seconds above 0")
    return seconds


def _link(word: str) -> tuple[float, float]:
    """Return latency, from 0, and bandwidth, above 0."""
    latency, bandwidth = map(_float, word.split(",")) if word.count(",") == 1 else (-1.0, 0.0)
    if not (0 <= latency < math.inf and bandwidth > 0):
        raise argparse.ArgumentTypeError(f"{word!r} is not SECONDS,BYTES")
    return latency, bandwidth


def _float(word: str) -> float:
    """Return a number; NaN if it is none."""
    try:
        return float(word)
    except ValueError:
        return math.nan
