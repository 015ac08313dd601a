"""How a study starts ranks: by srun or mpirun, with the same cores for each on any number."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from hpcgan.training.restarts import environment

# Ends with this process, however it ends.
_TIED = ("setpriv", "--pdeathsig", "TERM")


def command(
    ranks: int, largest: int, program: Sequence[str], environment: Mapping[str, str]
) -> list[str]:
    """Return the command line that starts a program on some ranks.

    In a Slurm job that is srun, if it can start Open MPI's ranks (PMIx), else mpirun; both fill
    nodes with as many tasks as the job has on each. Outside, mpirun gives each rank an equal part
    of the machine's cores, which is the same for all numbers of ranks of the study.

    Args:
        ranks: how many.
        largest: the most ranks of the study.
        program: its words.
        environment: with the ``SLURM_`` variables of the job, and the ``PATH`` of programs.
    """
    if "SLURM_JOB_ID" not in environment:
        return [*_TIED, *_mpirun_here(ranks, largest, program)]
    kind = _pmix(environment)
    cores = environment.get("SLURM_CPUS_PER_TASK")
    if kind is None:
        where = ["--map-by", f"slot:PE={cores or 1}", "--bind-to", "core"]
        return [*_TIED, _find_mpirun(), "-n", str(ranks), *where, *program]
    # Of the job's first node: Slurm writes 4(x2),3 for two of 4 tasks and one of 3.
    tasks = re.match(r"\d+", environment.get("SLURM_TASKS_PER_NODE", ""))
    nodes = math.ceil(ranks / int(tasks[0])) if tasks else ranks
    line = ["srun", f"--mpi={kind}", "-N", str(nodes), "-n", str(ranks)]
    line += ["-c", cores] if cores else []
    return [*_TIED, *line, "--kill-on-bad-exit=0", "--wait=120", *program]


def run(ranks: int, largest: int, program: Sequence[str]) -> tuple[int, str]:
    """Start a program on some ranks as ``command`` does, and wait for them.

    Returns:
        Their exit status, and what they printed.
    """
    outer = environment(os.environ)
    return _wait(command(ranks, largest, program, outer), outer)


def run_on(core: Sequence[int], program: Sequence[str]) -> tuple[int, str]:
    """Start a program as one rank on a core, of ``core_groups``, and wait for it, as ``run``."""
    line = [*_TIED, "taskset", "-c", ",".join(map(str, core)), *program]
    return _wait(line, environment(os.environ))


def _wait(line: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        line,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return done.returncode, done.stdout


def last_line(output: str) -> str:
    """Return the last line of the program's own, or else of its launcher's."""
    lines = [each for line in output.splitlines() if (each := line.strip("\0 "))]
    own = [line for line in lines if line.startswith("hpcgan")]
    return (own or lines or ["it printed nothing"])[-1]


def core_groups() -> list[list[int]]:
    """Return the processors that this process may use, those of one core together."""
    groups: dict[str, list[int]] = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        name = siblings.read_text(encoding="utf-8") if siblings.is_file() else str(cpu)
        groups.setdefault(name, []).append(cpu)
    return list(groups.values())


def _mpirun_here(ranks: int, largest: int, program: Sequence[str]) -> list[str]:
    """Return mpirun's line, with an equal part of the cores, at least one, for each rank."""
    groups = core_groups()
    share = max(1, len(groups) // largest)
    line = [_find_mpirun(), "--bind-to", "none"]
    line += ["--oversubscribe"] if ranks > len(groups) else []
    for rank in range(ranks):
        own = [groups[(rank * share + each) % len(groups)] for each in range(share)]
        cpus = ",".join(str(cpu) for group in own for cpu in group)
        line += [":"] * (rank > 0) + ["-n", "1", "taskset", "-c", cpus, *program]
    return line


def _find_mpirun() -> str:
    """Return the mpirun of this Python's environment, else that of PATH."""
    return shutil.which("mpirun", path=str(Path(sys.executable).parent)) or "mpirun"


def _pmix(environment: Mapping[str, str]) -> str | None:
    """Return srun's name for PMIx; None if it has none, or is not there."""
    try:
        listed = subprocess.run(
            ["srun", "--mpi=list"],
            env=dict(environment),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError:
        return None
    # Not in "specific pmix plugin versions available: pmix_v4", which says so of the latter.
    kinds = re.findall(r"\bpmix(?:_v\d+)?\b(?! plugin)", listed.stdout + listed.stderr)
    return min(kinds, key=lambda kind: kind != "pmix", default=None)
