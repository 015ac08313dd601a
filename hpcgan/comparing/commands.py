"""``hpcgan compare``: its command line, which leads to ``comparison``."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from hpcgan.command import whole_number
from hpcgan.world import World


def add(commands: Any) -> None:
    """Add ``compare`` to the commands of an ``argparse`` parser."""
    compare = commands.add_parser(
        "compare",
        help="compare ways of using some ranks, at equal cost",
        usage="hpcgan compare CONFIG.yaml [--section.key VALUE ...] --ways FILE.yaml "
        "--rank-seconds N --seeds K --out DIR [--ranks N]",
        description="Trains each way of FILE.yaml, and the baselines that it calls for, with the "
        "same data, seeds and ranks for the same ranks x seconds, and compares the Fréchet "
        "distances. It starts the ranks itself. The same command goes on where it was killed.",
        allow_abbrev=False,
    )
    compare.add_argument("config", metavar="CONFIG.yaml", help="what is trained, or a preset")
    ways = "a mapping: name of a way -> sections and keys that it changes; {} for none"
    compare.add_argument("--ways", type=Path, required=True, metavar="FILE.yaml", help=ways)
    cost = "of training for each way and seed: ranks x seconds after compilation"
    compare.add_argument("--rank-seconds", type=_seconds, required=True, metavar="N", help=cost)
    seeds = "starts of each way"
    compare.add_argument("--seeds", type=whole_number(1), required=True, metavar="K", help=seeds)
    compare.add_argument("--out", type=Path, required=True, metavar="DIR", help="all that is made")
    ranks = "of each start (default: the tasks of the Slurm job, or the cores of this machine)"
    compare.add_argument("--ranks", type=whole_number(1), metavar="N", help=ranks)
    compare.set_defaults(run=_compare, takes_keys=True)


def _compare(world: World, given: argparse.Namespace) -> int:
    from hpcgan.comparing import comparison

    return world.all_or_raise(lambda: comparison.run(world, given))


def _seconds(word: str) -> float:
    """Return a cost above 0."""
    try:
        seconds = float(word)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < 1e9:
        raise argparse.ArgumentTypeError(f"{word!r} is no number of seconds above 0")
    return seconds
