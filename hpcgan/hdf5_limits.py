"""What the process that reads HDF5 files (``hdf5_process``) may run and take: damage ends it.

Time is that of a core, since a slow disk is no damage; ten times that on the clock ends what waits
for something that never comes.
"""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator
from typing import Any

from hpcgan.memory import free_memory

_BYTES_PER_SECOND = 1e7  # no decompression is slower
_seconds = 0.0
_memory = 0
_work = 0

# gzip makes at most 1,032 bytes of one; what a file claims beyond that was never written.
_RATIO = 1100


def served(function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """Mark a function that the process may run for a rank: it runs no other."""
    function.__dict__["is_served"] = True
    return function


def begin(seconds: float, memory: int) -> None:
    """Set what each call may take besides its content; a signal then ends the process."""
    global _seconds, _memory
    _seconds, _memory = seconds, memory
    for out_of_time in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(out_of_time, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [out_of_time])


def allow(work: int) -> None:
    """Start the time anew for ``work`` bytes of content, and allow the memory that they need."""
    global _work
    _work = work
    if not _seconds:  # no process of its own: a test calls the functions
        return
    seconds = _seconds + work / _BYTES_PER_SECOND
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, 10 * seconds)
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    wanted = _memory + 4 * work
    resource.setrlimit(
        resource.RLIMIT_AS, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most)
    )


def shortage() -> str:
    """Return what there is too little of, when memory has run out: of this process, or the node.

    "" if it had all that honest content of ``allow``'s size can need.
    """
    wanted = _memory + 4 * _work
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    if most != resource.RLIM_INFINITY and most < wanted:
        return f"it may need {wanted} bytes, and a process may have {most}; raise that (ulimit -v)"
    free = free_memory()
    if free < _work:
        return (
            f"it needs {_work} bytes, and {free} are free; ask for more memory (sbatch --mem), or "
            "use fewer ranks per node"
        )
    return ""


def end() -> None:
    """Stop the time."""
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)


def can_hold(content: int, file_bytes: int) -> bool:
    """Return whether a file of ``file_bytes`` can hold ``content`` bytes, however compressed."""
    return content <= _RATIO * file_bytes
