"""``hpcgan export``: its command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from hpcgan.command import whole_number


def add(commands: Any) -> None:
    """Add ``export`` to the commands of an ``argparse`` parser."""
    parser = commands.add_parser(
        "export",
        help="a checkpoint's generator for other programs: Keras, SavedModel or ONNX",
        description="Write the (averaged) generator in float32, from latents and labels to samples "
        "in the data's units; load it again in a new process, and compare. docs/export.md",
    )
    parser.add_argument(
        "checkpoint",
        type=Path,
        metavar="CHECKPOINT|RUN_DIR",
        help="a checkpoint, or a run directory, of which the newest one is taken",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="G.keras|G.onnx|DIR",
        help="a file of Keras or ONNX, or a directory for a SavedModel",
    )
    parser.add_argument(
        "--opset", type=whole_number(11, 18), metavar="N", help="of ONNX, 11 to 18 (default: 13)"
    )
    parser.add_argument("--no-check", action="store_true", help="do not load and compare it")
    parser.add_argument(
        "--trust-networks",
        action="store_true",
        help="run the functions that the checkpoint names for its networks",
    )
    parser.set_defaults(run=_run, needs_ranks=False, prints_little=True)


def _run(given: argparse.Namespace) -> None:
    from hpcgan.export.export import Wanted, export

    checked, trusted = not given.no_check, given.trust_networks
    print(export(Wanted(given.checkpoint, given.out, given.opset, checked, trusted)))
