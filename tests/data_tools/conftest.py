"""Runs ``hpcgan-data`` as its users do."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def hpcgan_data(python: Run) -> Run:
    """Return a function that runs ``hpcgan-data WORDS`` in tmp_path on a number of ranks."""

    def run(words: str, ranks: int | None = None) -> subprocess.CompletedProcess[str]:
        return python("-m", "data_tools", *words.split(), ranks=ranks)

    return run


def failure(done: subprocess.CompletedProcess[str], status: int = 2) -> str:
    """Return the one line of a command that failed as a user error; check that it is one."""
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if "hpcgan-data:" in line]
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.fixture
def failure_line() -> Callable[[subprocess.CompletedProcess[str]], str]:
    return failure


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory in which the commands run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
