"""Programs run as their users do, alone or under mpirun, and what they say when they fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ENVIRONMENT = {
    "PYTHONPATH": str(Path(__file__).parents[1]),
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
}

# A run on ``data_file`` that has much to show after a few seconds.
CONFIG = """
data: {files: [data.h5]}
model: {latent_dim: 6}
train: {steps: 100, batch_size: 5}
checkpoint: {every_steps: 10}
log: {every_steps: 10}
"""


def mpirun(ranks: int) -> list[str]:
    """Return the words that start a program on a number of ranks."""
    found = str(Path(sys.executable).with_name("mpirun"))
    return [found, "--oversubscribe", "-n", str(ranks)]


def start(place: Path, *words: object, ranks: int | None = None) -> subprocess.Popen[str]:
    """Start ``python WORDS`` in a directory, under mpirun if ranks are given, and return it."""
    launcher = [] if ranks is None else mpirun(ranks)
    return subprocess.Popen(
        [*launcher, sys.executable, *map(str, words)],
        cwd=place,
        env=os.environ | ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(
    place: Path, *words: object, ranks: int | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run ``python WORDS`` as ``start`` does, to its end, or until its seconds are over."""
    process = start(place, *words, ranks=ranks)
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def only_line(errors: str) -> str:
    """Return what hpcgan said on stderr, which must be one line, once, and no traceback."""
    assert "Traceback" not in errors
    # mpirun may put the end of its own banner, a zero byte, before a rank's line.
    lines = [line.strip("\0 ") for line in errors.splitlines()]
    lines = [line for line in lines if line.startswith("hpcgan: ")]
    assert len(lines) == 1, errors
    return lines[0].removeprefix("hpcgan: ")
