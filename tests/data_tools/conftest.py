"""Runs the command as its users do: as a process, alone or under mpirun."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_ENVIRONMENT = {
    "PYTHONPATH": str(_ROOT),
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
}

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def python(tmp_path: Path) -> Run:
    """Return a function that runs ``python WORDS`` in tmp_path on a number of ranks."""

    def run(*words: object, ranks: int | None = None) -> subprocess.CompletedProcess[str]:
        mpirun = [str(Path(sys.executable).with_name("mpirun")), "--oversubscribe"]
        launcher = [] if ranks is None else [*mpirun, "-n", str(ranks)]
        return subprocess.run(
            [*launcher, sys.executable, *map(str, words)],
            cwd=tmp_path,
            env=os.environ | _ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


@pytest.fixture
def hpcgan_data(python: Run) -> Run:
    """Return a function that runs ``hpcgan-data WORDS`` in tmp_path on a number of ranks."""

    def run(words: str, ranks: int | None = None) -> subprocess.CompletedProcess[str]:
        return python("-m", "data_tools", *words.split(), ranks=ranks)

    return run


def failure(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line of a command that failed as a user error; check that it is one."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if "hpcgan-data:" in line]
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.fixture
def failure_line() -> Callable[[subprocess.CompletedProcess[str]], str]:
    return failure
