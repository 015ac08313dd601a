"""What fuzzers share: a process that reads damaged files until one kills it, and the command."""

from __future__ import annotations

import argparse
import json
import select
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

Counts = dict[str, Counter[str]]  # of results, by what was read

# Longer than a reader's tenfold on the clock, and than a busy machine takes to start one.
SECONDS = 120.0


class Worker:
    """``python -m MODULE --work``: it replies to each line of JSON by one with what came of it."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._process: subprocess.Popen[str] | None = None

    def result(self, *question: Any) -> tuple[str, str]:
        """Return what comes of a question, and the message."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module, "--work"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # TensorFlow's and libtiff's words
                text=True,
                cwd=Path(__file__).parents[1],
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        in_time = select.select([self._process.stdout], [], [], SECONDS)[0]
        line = self._process.stdout.readline() if in_time else ""
        if line:
            kind, message = json.loads(line)
            return kind, message
        status = self.close(kill=True)
        return ("crash", f"status {status}") if in_time else ("hang", f"over {SECONDS} s")

    def close(self, kill: bool = False) -> int:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return 0
        if kill:
            process.kill()
        process.communicate()
        return process.returncode


def run(
    description: str | None,
    work: Callable[[], None],
    fuzz: Callable[[Path, int, int], tuple[Counts, list[str]]],
    table: Callable[[Counts], str],
) -> int:
    """Run a fuzzer from the command line; return the exit status, 1 if there is what is odd.

    Args:
        description: for ``--help``.
        work: replies to the questions of a ``Worker``.
        fuzz: makes and reads a number of files in a directory, of a seed; returns the counts and
            what is odd, whose files stay.
        table: the counts as text.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.work:
        work()
        return 0
    directory = Path(tempfile.mkdtemp(prefix="hpcgan-fuzz-"))
    counts, odd = fuzz(directory, words.files, words.seed)
    print("\n".join([table(counts), *odd]))
    if not odd:
        shutil.rmtree(directory)
    return 1 if odd else 0
