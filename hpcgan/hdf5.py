"""HDF5 files that came from others, read by a process of its own.

HDF5 may crash, never return or take all memory on a damaged file, where no Python code can catch
it. So no rank opens such a file itself: it calls functions in a process (``hdf5_process``), which
limits its own time and memory, and which damage may kill. It is started by the first call, makes
those of all threads one after the other, and ends when there has been none for a while. It is a
fresh interpreter and no fork: ranks may not fork once MPI has started.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from hpcgan import errors
from hpcgan.errors import DataError, RunError
from hpcgan.memory import free_memory

# What the process must do with, besides what a file's honest content needs.
SECONDS = 60.0  # of a core
MEMORY = 2 * 2**30

_PIPE_BYTES = 2**20  # 16 times the system's own: fewer turns for each chunk

# Yields arrays, and then a value that JSON can hold.
Function = Callable[..., Iterator[Any]]

_ENVIRONMENT = {
    # Threads that it has no use for would count against its memory.
    "OPENBLAS_NUM_THREADS": "1",
    # glibc: keep up to 64 MiB that were freed, instead of taking each chunk's memory anew.
    "MALLOC_TRIM_THRESHOLD_": str(2**26),
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
}

# HDF5 may have been stuck or waiting for a disk: to call again would only take as long again.
_OUT_OF_TIME = (signal.SIGPROF, signal.SIGALRM)
_CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)


class Hdf5Error(Exception):
    """HDF5 cannot read a file; the text has the reason, on one line."""


class _Died(Exception):
    """The process ended instead of replying."""


class Hdf5Process:
    """The process, started when it is needed."""

    def __init__(self, seconds: float = SECONDS, memory: int = MEMORY) -> None:
        self._limits = [str(seconds), str(memory)]
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def call(self, function: Function, *arguments: Any) -> tuple[Any, list[np.ndarray]]:
        """Call a function in the process, and return what it yields.

        Args:
            function: one of a module, marked by ``hdf5_limits.served``.
            arguments: the arguments, which JSON can hold; the first one is the file.

        Returns:
            The function's value, and its arrays.

        Raises:
            UserError: the function raised it.
            RunError: memory ran out, or the process was ended from outside: the file may be whole.
            Hdf5Error: HDF5 could not read the file, or the process died of it.
        """
        # Names of files are seen from where this process is now.
        call = [str(Path.cwd()), function.__module__, function.__name__, *arguments]
        line = json.dumps(call).encode() + b"\n"
        with self._lock:
            for is_last in (False, True):
                is_fresh = self._process is None
                try:
                    return self._call(line)
                except _Died:
                    status = self.close()
                    # An earlier file may have harmed it, or it had just ended by itself.
                    if is_fresh or is_last or -status in _OUT_OF_TIME:
                        raise _end(status, str(arguments[0])) from None
        raise AssertionError

    def close(self) -> int:
        """End the process and return its status."""
        process, self._process = self._process, None
        if process is None:
            return 0
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.close()
        with suppress(BrokenPipeError):
            process.stdin.close()
        return process.wait()

    def _call(self, line: bytes) -> tuple[Any, list[np.ndarray]]:
        process = self._process or self._start()
        assert process.stdin is not None
        try:
            process.stdin.write(line)
            process.stdin.flush()
        except BrokenPipeError:
            raise _Died from None
        arrays: list[np.ndarray] = []
        while True:
            reply = self._read_line(process)
            if "shape" in reply:
                arrays.append(_read_array(process, reply))
            elif "error" in reply:
                raise getattr(errors, reply["kind"], Hdf5Error)(reply["error"])
            else:
                return reply["value"], arrays

    def _start(self) -> subprocess.Popen[bytes]:
        """Start the process and wait until it is ready."""
        command = [sys.executable, "-m", "hpcgan.hdf5_process", *self._limits]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | _ENVIRONMENT,
            )
            assert self._process.stdout is not None
            with suppress(OSError):  # a system may allow less
                fcntl.fcntl(self._process.stdout, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            self._read_line(self._process)
        except (OSError, _Died) as error:
            status = self.close()
            raise RunError(
                f"{' '.join(command)}: could not be started to read HDF5 files "
                f"({error or f'status {status}'}); try that command"
            ) from None
        return self._process

    @staticmethod
    def _read_line(process: subprocess.Popen[bytes]) -> dict[str, Any]:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.endswith(b"\n"):
            raise _Died
        found: dict[str, Any] = json.loads(line)
        return found


def _read_array(process: subprocess.Popen[bytes], header: dict[str, Any]) -> np.ndarray:
    """Return the array whose bytes follow."""
    assert process.stdout is not None
    array = np.empty(header["shape"], header["dtype"])
    content = array.reshape(-1).view(np.uint8).data
    if process.stdout.readinto(content) < array.nbytes:  # type: ignore[attr-defined]
        raise _Died
    return array


def _end(status: int, file: str) -> Hdf5Error | RunError:
    """Return why the process died over a file."""
    if -status in _OUT_OF_TIME:
        return Hdf5Error("HDF5 does not return from it: it is damaged")
    name = signal.Signals(-status).name if status < 0 else f"status {status}"
    if status > 0 or -status in _CRASHES:
        return Hdf5Error(f"HDF5 crashes on it ({name}): it is damaged")
    reason, advice = f"ended by {name}", "start it again"
    if -status == signal.SIGKILL:
        reason += f", as where memory runs out ({free_memory()} bytes are free)"
        advice = "ask for more memory (sbatch --mem), or use fewer ranks per node"
    if -status == signal.SIGXCPU:
        reason, advice = f"{reason}, a limit of its processor time", "raise it (ulimit -t)"
    return RunError(f"{file}: the process that reads it was {reason}; {advice}")


of_this_rank = Hdf5Process()


def call_on_data(function: Function, file: str, *arguments: Any) -> tuple[Any, list[np.ndarray]]:
    """Call a function in this rank's process that looks into a data file.

    Raises:
        DataError: HDF5 cannot read the file.
    """
    try:
        return call(function, file, *arguments)
    except Hdf5Error as error:
        raise DataError(f"{file}: not readable as HDF5: {error}") from None


def call(function: Function, *arguments: Any) -> tuple[Any, list[np.ndarray]]:
    """Call a function in this rank's process, as ``Hdf5Process.call`` does."""
    return of_this_rank.call(function, *arguments)
