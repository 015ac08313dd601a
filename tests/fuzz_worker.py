"""A process that reads damaged files for a fuzzer, until one kills it."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

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
