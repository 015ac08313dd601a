"""Whether the ranks were started as one run: what the launcher started against what MPI found.

Launchers fail in silence: an srun or mpirun that does not fit the MPI starts N processes, each of
which runs as the only one and ends with status 0. Here this is refused in one line instead, as are
ranks that run other programs, or another command line, than rank 0.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hpcgan.errors import LaunchError
from hpcgan.packages import version_of

if TYPE_CHECKING:
    from hpcgan.world import World

_PACKAGES = ("tensorflow", "keras", "horovod", "mpi4py", "h5py", "numpy")
_MOST_WORDS = 80  # characters of the command line that a message shows


def check(world: World) -> None:
    """Refuse ranks that are not one run. All ranks must call it, before anything else.

    Raises:
        LaunchError: the launcher started another number of processes than MPI knows; two ranks
            are the same task of srun; or a rank has other versions, other source of hpcgan or
            another command line than rank 0. All ranks raise it.
    """
    wrong = problem(world.size, os.environ)
    if wrong:
        # MPI calls several of them rank 0; the launcher's number lets one of them print.
        world.rank = number(os.environ) or 0
        raise LaunchError(wrong, on_all_ranks=True)
    if world.size == 1:
        return
    own = {**versions(), "command line": " ".join(sys.argv[1:])}
    digest = hashlib.sha256(json.dumps(own).encode()).hexdigest()
    task = number(os.environ) if is_by_srun(os.environ) else None
    everyone = world.gather_json([digest, task])
    wrong = repeated_task([task for _, task in everyone])
    if wrong is None and len({digest for digest, _ in everyone}) > 1:
        wrong = difference(world.gather_json([world.host, own]))
    if wrong:
        raise LaunchError(wrong, on_all_ranks=True)


def is_by_srun(environment: Mapping[str, str]) -> bool:
    """Return whether srun started this process itself, and not a daemon of mpirun in between."""
    by_mpirun = not environment.get("PMIX_NAMESPACE", "slurm").startswith("slurm")
    return (
        "SLURM_STEP_NUM_TASKS" in environment
        and not by_mpirun
        and "HYDI_CONTROL_FD" not in environment  # the daemon of MPICH's mpirun
    )


def number(environment: Mapping[str, str]) -> int | None:
    """Return this process's number as its launcher counts: for messages, before MPI is there.

    None if no launcher is known. It is not the rank, which MPI alone knows.
    """
    names = ("SLURM_PROCID",) if is_by_srun(environment) else ("PMIX_RANK", "PMI_RANK")
    return next((int(environment[name]) for name in names if name in environment), None)


def started(environment: Mapping[str, str]) -> int | None:
    """Return how many processes the launcher started; None if none is known."""
    if is_by_srun(environment):
        return int(environment["SLURM_STEP_NUM_TASKS"])
    names = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
    return next((int(environment[name]) for name in names if name in environment), None)


def problem(size: int, environment: Mapping[str, str]) -> str | None:
    """Return what is wrong with ``size``, the number of ranks that MPI knows, or None."""
    tasks = started(environment)
    if tasks in (None, size):
        return None
    if is_by_srun(environment):
        them = "do not find each other" if size == 1 else f"are {size} ranks to MPI"
        return (
            f"srun started {tasks} tasks that {them}: its --mpi does not fit "
            "this MPI; use srun --mpi=pmix (srun --mpi=list shows what there is), or mpirun"
        )
    return (
        f"mpirun started {tasks} processes that are {size} rank{'s' * (size > 1)} to MPI: it is "
        "of another MPI than mpi4py; use the mpirun that belongs to the MPI of this environment"
    )


def repeated_task(tasks: list[int | None]) -> str | None:
    """Return what is wrong if two ranks are the same task of srun, or None.

    ``tasks`` are srun's numbers, by rank; None where srun did not start the rank.
    """
    for rank, task in enumerate(tasks):
        if task is not None and task in tasks[:rank]:
            return (
                f"ranks {tasks.index(task)} and {rank} are both task {task} of srun; start "
                "hpcgan once a task"
            )
    return None


def difference(everyone: list[tuple[str, dict[str, str]]]) -> str | None:
    """Return what differs on the first rank that is not as rank 0, or None.

    ``everyone`` has the host and what identifies the program, by rank.
    """
    first_host, first = everyone[0]
    for rank, (host, own) in enumerate(everyone):
        name = next((name for name in first if own[name] != first[name]), None)
        if name:
            advice = (
                "start all ranks with the same command line"
                if name == "command line"
                else "all nodes must see the same environment"
            )
            return (
                f"rank {rank} on {host} has another {name} than rank 0 on {first_host}: "
                f"{_short(own[name])} instead of {_short(first[name])}; {advice}"
            )
    return None


def versions() -> dict[str, str]:
    """Return the versions of what takes part in a run, and a digest of hpcgan's own source.

    Nothing is imported for it. A package that is missing has the version "none".
    """
    found = {"Python": platform.python_version()}
    found |= {package: version_of(package) for package in _PACKAGES}
    return found | {"source of hpcgan": _source()}


def _source() -> str:
    """Return a digest of hpcgan's source files."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _short(text: str) -> str:
    return text if len(text) <= _MOST_WORDS else f"{text[:_MOST_WORDS]}..."
