"""Everything that clusters do to a run, many times over, and what is lost by it: nothing.

    python -m tests.chaos [--short] [PART ...]

The parts are writer, runs, signals, deaths, damage, fuzz and cost; all by default. Each prints what
it did and what it found; the exit status is 1 if anything was lost, late or wrong. ``--short`` does
a few of each and leaves out the cost, which needs a quiet machine.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos_files import Failure, damage_newest, kill_writers
from tests.chaos_runs import (
    MPIRUN,
    ROOT,
    WAYS,
    fail_ranks,
    kill_runs,
    send_signals,
    signal_turns,
)
from tests.failing_rank import KINDS


def _program(*words: str) -> str:
    """Run another program of the project and return what it printed last."""
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"{' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def parts(short: bool) -> dict[str, Callable[[Path], str]]:
    """Return what there is to do, by name."""
    fuzz = (
        sys.executable,
        "-m",
        "tests.fuzz",
        "--files",
        "300" if short else "5000",
        "--seed",
        "0",
    )
    cost = (*MPIRUN, "-n", "2", sys.executable, "-m", "benchmarks.checkpointing")
    turns = signal_turns()
    deaths = [(kind, ranks) for ranks in (2, 4) for kind in KINDS]
    if short:
        turns = [("rank 1", signal.SIGTERM), ("mpirun", signal.SIGUSR1)]
        deaths = [("infinite loop", 2)]
    found: dict[str, Callable[[Path], str]] = {
        "writer": lambda place: kill_writers(place, 50 if short else 1000),
        "runs": lambda place: kill_runs(
            place, *((2, 2000, WAYS[:1]) if short else (60, 12000, WAYS))
        ),
        "signals": lambda place: send_signals(place, turns),
        "deaths": lambda place: fail_ranks(place, deaths, 20.0 if short else 30.0),
        "damage": lambda place: damage_newest(place, 20 if short else 200),
        "fuzz": lambda place: _program(*fuzz),
    }
    if not short:
        found["cost"] = lambda place: _program(*cost)
    return found


def main() -> int:
    """Do the parts that the command line names; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--short", action="store_true", help="a few of each")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(parts(False))}")
    given = parser.parse_args()
    todo = parts(given.short)
    status = 0
    for name in given.parts or todo:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="chaos-") as directory:
            try:
                told = todo[name](Path(directory))
            except Failure as failure:
                told, status = f"FAILED: {failure}", 1
        print(f"##### {name} ({time.monotonic() - began:.0f} s)\n{told}\n", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
