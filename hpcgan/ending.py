"""How a process ends whatever it waits for: pipes that nobody reads, an MPI that hangs.

``World.abort`` ends all ranks by it, and ``hpcgan doctor`` itself.
"""

from __future__ import annotations

import faulthandler
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NoReturn

_LIMIT = 5.0  # seconds until a process ends that was to end by other means
_FOR_TEXT = 1.0  # of them, to write what a pipe may have no room for


@contextmanager
def last_resort(seconds: float) -> Iterator[None]:
    """End this process with status 1, whatever it waits for, if what is inside takes longer.

    A thread of Python could not: mpi4py keeps the interpreter's lock while MPI starts and aborts.
    A process has one: to enter it again replaces it.
    """
    with Path(os.devnull).open("wb") as nowhere:
        # The traceback that it writes is of no use to the user: the advice is printed elsewhere.
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def end_process(end_others: Callable[[], None], text: str, descriptor: int) -> NoReturn:
    """Write ``text`` to stderr or stdout; end this process and others.

    It takes ``_LIMIT`` seconds at most, whatever happens. ``end_others`` ends this process, too.
    """
    with ExitStack() as armed:
        with suppress(Exception):  # there may be no memory or file left for it
            armed.enter_context(last_resort(_LIMIT))
        _write(text, descriptor)
        with suppress(Exception):  # it may be closed, too
            sys.stdout.flush()
        end_others()
    raise AssertionError("a process that was to end goes on")


def _write(text: str, descriptor: int) -> None:
    """Write what there is room for within ``_FOR_TEXT``; nobody may read what a pipe holds."""
    rest, end = text.encode(errors="backslashreplace"), time.monotonic() + _FOR_TEXT
    with suppress(OSError):  # nobody may be left at all
        while rest and select.select([], [descriptor], [], max(0.0, end - time.monotonic()))[1]:
            # So many bytes never wait: a pipe with less room is not ready.
            rest = rest[os.write(descriptor, rest[: select.PIPE_BUF]) :]
