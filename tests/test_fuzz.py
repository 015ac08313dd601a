"""Damage of every kind to files; ``python -m tests.fuzz`` and ``fuzz_sources`` do more of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def _fuzz(program: str, files: int) -> str:
    """Run a fuzzer and return its last line."""
    words = [sys.executable, "-m", program, "--files", str(files), "--seed", "3"]
    done = subprocess.run(words, cwd=ROOT, env=None, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


def test_damaged_files_end_in_our_error_or_a_right_read() -> None:
    assert _fuzz("tests.fuzz", 300).split()[:2] == ["all", "780"]  # with the tools' reads


def test_damaged_sources_end_in_our_error_or_right_pixels() -> None:
    assert _fuzz("tests.fuzz_sources", 190).split()[:2] == ["all", "190"]
