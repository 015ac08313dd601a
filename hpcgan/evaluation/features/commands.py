"""``hpcgan features``: its words, each of which leads to one function."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from hpcgan.command import whole_number
from hpcgan.world import World


def add(commands: Any) -> None:
    """Add ``features`` to the commands of an ``argparse`` parser."""
    features = commands.add_parser("features", help="make what hpcgan evaluate looks at")
    actions = features.add_subparsers(dest="action", required=True, metavar="fit")
    fit = actions.add_parser("fit", help="fit a classifier of the data's classes, by all ranks")
    fit.add_argument("data", metavar="DATA.h5", help="data with labels that are integers")
    fit.add_argument("--labels", required=True, metavar="NAME", help="the dataset of labels")
    fit.add_argument("--out", type=Path, required=True, metavar="FILE.h5")
    seed = "of the samples that are held out, and of the training (default: 0)"
    fit.add_argument("--seed", type=whole_number(0), default=0, metavar="S", help=seed)
    fit.set_defaults(run=_fit)


def _fit(world: World, arguments: argparse.Namespace) -> None:
    from hpcgan.evaluation.features import classifier_fit

    given = arguments
    classifier_fit.fit(world, given.data, given.labels, given.out, given.seed)
