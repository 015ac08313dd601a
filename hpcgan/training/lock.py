"""One run at a time in a run directory: two would write the same checkpoints."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hpcgan.errors import RunError
from hpcgan.files import writing
from hpcgan.world import World

# A run that was killed may need some seconds to let go, and a file server to notice.
_PATIENCE = 20.0


@contextmanager
def only_run(world: World, run_dir: Path) -> Iterator[None]:
    """Hold a directory while inside. All ranks must enter it.

    The system lets go of it when rank 0 ends, however it ends. File systems without locks are
    trusted.

    Raises:
        RunError: another run holds it, or the directory cannot be written; the same on all ranks.
    """
    descriptor: int | None = None

    def hold() -> None:
        nonlocal descriptor
        path = run_dir / "lock"
        with writing(path):
            run_dir.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        end = time.monotonic() + _PATIENCE
        while not _take(descriptor):
            if time.monotonic() > end:
                holder = os.pread(descriptor, 200, 0).decode(errors="replace")
                raise RunError(
                    f"{run_dir}: another run ({holder}) writes here; wait for it, stop it, or "
                    "choose another --run-dir"
                )
            time.sleep(0.2)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)

    world.on_root(hold)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _take(descriptor: int) -> bool:
    """Return whether nobody else holds the file."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
