"""Damage of every kind to checkpoints and data files; ``python -m tests.fuzz`` does more of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_damaged_files_end_in_our_error_or_a_right_read(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.fuzz", "--files", "300", "--seed", "3"]
    done = subprocess.run(words, cwd=ROOT, env=None, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].split()[:2] == ["all", "780"]  # with the tools' reads
