"""The start of MPI under watch: it waits for all ranks, for ever if one never comes.

No thread of Python can watch it, since mpi4py keeps the interpreter's lock while it waits. So
another process does (``sentry``), which says who is missing; then the last resort ends this one.
Those that have come so far are files in a directory below the current one, which nodes usually
share: the launcher's numbers with the hosts.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from hpcgan import launch
from hpcgan.ending import last_resort

_AFTER = 3  # seconds that the sentry has to speak before this process ends


@contextmanager
def watched(
    seconds: float, style: str, environment: Mapping[str, str] = os.environ
) -> Iterator[None]:
    """End this process with status 1 if what is inside, MPI's start, takes longer.

    Args:
        seconds: that it may take.
        style: of what is then printed, "text" or "json".
        environment: in which the launcher tells how many processes it started.
    """
    size, number = launch.started(environment), launch.number(environment)
    if size is None or number is None or size == 1:
        yield
        return
    place = meeting_place(environment)
    own = place / f"{number}@{socket.gethostname()}"
    with suppress(OSError):  # the sentry then knows of this rank alone
        place.mkdir(exist_ok=True)
        own.touch()
    words = [sys.executable, "-m", "hpcgan.doctor.sentry"]
    sentry = subprocess.Popen(
        [*words, str(seconds), str(place), own.name, str(size), style], stdin=subprocess.PIPE
    )
    with last_resort(seconds + _AFTER):
        yield
    assert sentry.stdin is not None
    sentry.stdin.close()
    sentry.wait()
    with suppress(OSError):
        own.unlink()
        place.rmdir()  # the last one can


def meeting_place(environment: Mapping[str, str]) -> Path:
    """Return the directory that the processes of one launch share, and no others."""
    names = ("PMIX_NAMESPACE", "SLURM_JOB_ID", "SLURM_STEP_ID", "PMI_ID")
    launch_name = "-".join(environment[name] for name in names if name in environment)
    return Path.cwd() / f".hpcgan-doctor-{re.sub('[^A-Za-z0-9.]+', '-', launch_name)}"
