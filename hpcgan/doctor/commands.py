"""``hpcgan doctor``: its command line, which leads to ``examine``."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from hpcgan.world import World


def add(commands: Any) -> None:
    """Add ``doctor`` to the commands of an ``argparse`` parser."""
    doctor = commands.add_parser(
        "doctor",
        help="look at the machine before a job is spent on it",
        usage="hpcgan doctor [CONFIG.yaml [--section.key VALUE ...] [--run-dir DIR]] [--json] "
        "[--timeout SECONDS]",
        description="Checks versions, MPI, placement of the ranks, their exchange, files and the "
        "Slurm job; alone, or as the run would be started, under mpirun or srun. Status 1 if a "
        "check failed. A rank that never starts MPI is named by the launcher: mpirun --timeout 60 "
        "--report-state-on-timeout, or srun --time=2 with SLURM_PMIX_TIMEOUT=60.",
        allow_abbrev=False,
    )
    doctor.add_argument(
        "config", nargs="?", metavar="CONFIG.yaml", help="a run, whose data and places to look at"
    )
    doctor.add_argument("--run-dir", type=Path, metavar="DIR", help="default: runs/NAME")
    doctor.add_argument("--json", action="store_true", help="print one object instead of lines")
    doctor.add_argument(
        "--timeout",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help="to wait for a rank before it is called missing (default: 60)",
    )
    doctor.set_defaults(run=_run, checks_launch=False, takes_keys=True)


def _run(world: World, given: argparse.Namespace) -> int:
    from hpcgan.doctor import examine, storage

    return examine.examine(
        world,
        lambda: storage.run_paths(given.config, given.overrides, given.run_dir),
        given.timeout,
        given.json,
    )


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 1 <= seconds <= 86400 or math.isnan(seconds):
        raise argparse.ArgumentTypeError(f"{text}: from 1 to 86400 seconds")
    return seconds
