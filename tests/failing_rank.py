"""A training run of which one rank fails, for the tests of what then becomes of the others.

    mpirun -n 4 python -m tests.failing_rank KIND RANK CALL train CONFIG.yaml ...

Rank RANK does KIND before its call number CALL of the update, and writes the time to failed_at.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hpcgan import cli
from hpcgan.training.stop import Request


def _raise() -> None:
    raise ValueError("this rank has a bug")


def _run_out_of_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (2**34, 2**34))
    np.ones(2**34)


def _loop() -> None:
    while True:
        pass


def _kill(number: signal.Signals) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


KINDS = {
    "exception": _raise,
    "os._exit": lambda: os._exit(0),
    "SIGKILL": _kill(signal.SIGKILL),
    "SIGSEGV": lambda: ctypes.string_at(0) and None,
    "out of memory": _run_out_of_memory,
    "infinite loop": _loop,
    "SIGSTOP": _kill(signal.SIGSTOP),
}


def main() -> int:
    """Run the command, of which one rank fails."""
    kind, rank, call = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    sys.argv = ["hpcgan", *sys.argv[4:]]
    is_made, calls = Request.is_made, 0

    def failing(request: Request) -> bool:
        nonlocal calls
        from mpi4py import MPI

        calls += 1
        if calls == call and MPI.COMM_WORLD.Get_rank() == rank:
            Path("failed_at").write_text(str(time.time()))
            KINDS[kind]()
        return is_made(request)

    Request.is_made = failing  # type: ignore[method-assign]
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
