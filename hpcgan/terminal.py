"""What a terminal is shown: progress where someone looks on, and no text that would steer it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_LAUNCHERS = ("prterun", "mpirun", "mpiexec", "orterun")


def is_watched() -> bool:
    """Return whether what this rank writes to stderr is seen on a terminal.

    Under mpirun a rank's own stdout is always a terminal and its stderr always a pipe: what
    counts is where its parent, which forwards both, writes to.
    """
    if sys.stderr.isatty():
        return True
    try:
        launcher = Path(f"/proc/{os.getppid()}/comm").read_bytes().decode(errors="replace").strip()
        target = Path(f"/proc/{os.getppid()}/fd/2").readlink()
    except OSError:
        return False
    return launcher in _LAUNCHERS and str(target).startswith(("/dev/pts/", "/dev/tty"))


def printable(text: str) -> str:
    """Return text from a file without what would steer a terminal or could not be printed.

    Lines stay; other characters that do not show become escapes, such as \\x1b.
    """
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode()
        for each in text
    )
