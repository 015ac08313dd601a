"""One run at a time in a directory: two would write the same checkpoints, or the same parts."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hpcgan.errors import RunError, UserError
from hpcgan.files import writing
from hpcgan.world import World

LOCK = "lock"  # the name of the file
# Seconds: a run that was killed may need some to let go, and a file server to notice.
PATIENCE = 30.0
_PAUSE = 0.2  # seconds between two tries


class RunLock:
    """Rank 0's hold of a directory: a lock of the system on the file ``lock`` in it.

    The system lets go of it when rank 0 ends, however it ends. File systems without locks are
    trusted.
    """

    def __init__(self, run_dir: Path, leaves_file: bool = True) -> None:
        """Make one that holds nothing yet; the file stays afterwards if ``leaves_file``."""
        self._run_dir = run_dir
        self._leaves_file = leaves_file
        self._path = run_dir / LOCK
        self._made: list[Path] = []  # directories, the innermost first
        self._descriptor: int | None = None

    def take(self) -> None:
        """Hold the directory of this name, which is made if there is none.

        What was held before is let go then: it may have been the directory of this name until
        somebody renamed it.

        Raises:
            RunError: another run holds it, or it cannot be written.
        """
        end = time.monotonic() + PATIENCE
        while (descriptor := self._try_once(time.monotonic() > end)) is None:
            time.sleep(_PAUSE)
        self._keep(descriptor)

    def try_take(self) -> bool:
        """Hold the directory as ``take`` does, unless somebody else does; return whether it is."""
        descriptor = self._try_once(is_last=False)
        if descriptor is not None:
            self._keep(descriptor)
        return descriptor is not None

    def _keep(self, descriptor: int) -> None:
        """Let go of what was held before, and say who holds the directory now."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = descriptor
        with writing(self._path):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)

    def release(self) -> None:
        """Let go, and leave nothing where nothing but the lock has been written."""
        if self._descriptor is None:
            return
        with suppress(OSError):
            is_empty = [each.name for each in self._run_dir.iterdir()] == [LOCK]
            if (is_empty or not self._leaves_file) and is_at(self._path, self._descriptor):
                self._path.unlink()
                for each in self._made if is_empty else []:
                    each.rmdir()
        os.close(self._descriptor)
        self._descriptor = None

    def _try_once(self, is_last: bool) -> int | None:
        """Return a locked descriptor, or None if somebody else holds or renames the directory."""
        with writing(self._path):
            parents = (self._run_dir, *self._run_dir.parents)
            self._made = [each for each in parents if not each.exists()] or self._made
            self._run_dir.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        is_held = False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            is_held = True
        except OSError:  # a file system without locks
            pass
        if not is_held and is_at(self._path, descriptor):
            return descriptor
        what = "the directory is renamed or deleted again and again"
        if is_held:
            what = f"another run ({os.pread(descriptor, 200, 0).decode(errors='replace')})"
            what += " writes here; wait for it, stop it, or choose another directory"
        os.close(descriptor)
        if is_last:
            raise RunError(f"{self._run_dir}: {what}")
        return None


@contextmanager
def only_run(world: World, run_dir: Path, leaves_file: bool = True) -> Iterator[RunLock]:
    """Hold a directory while inside. All ranks must enter it; the lock is rank 0's.

    It is let go when all ranks leave, be it with an error. An error of one rank ends its process,
    which lets go then and no earlier: a thread may still be writing.

    Raises:
        RunError: another run holds it, or the directory cannot be written; the same on all ranks.
    """
    lock = RunLock(run_dir, leaves_file)
    try:
        world.on_root(lock.take)
        yield lock
    except UserError as error:
        if error.on_all_ranks:
            lock.release()
        raise
    lock.release()


def is_at(path: Path, descriptor: int) -> bool:
    """Return whether a path still names an open file: neither was renamed, deleted or replaced.

    Where nobody can tell, since a file server does not answer just now, say, it is taken to do so.
    """
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
