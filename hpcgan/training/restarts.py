"""Runs that are started again when they fail: ``run.restarts``, under mpirun on one machine.

When a rank dies its launcher ends them all, so nobody inside can start them again. With
``run.restarts`` the ranks that the user has started do not train: rank 0 starts an mpirun with as
many ranks and the same command, and starts it again from the newest checkpoint when it fails; the
others wait, asleep. Under Slurm its own requeueing does this, on other nodes if need be.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from hpcgan import checkpoint_directory
from hpcgan.config import Config
from hpcgan.errors import ConfigError
from hpcgan.training.stop import handling
from hpcgan.world import World

_SUPERVISED = "HPCGAN_SUPERVISED"  # set in the environment of the ranks that train
_DONE, _WRONG, _STOPPED = 0, 2, 85


def is_wanted(config: Config) -> bool:
    """Return whether these ranks are to start others instead of training."""
    return config.run.restarts > 0 and _SUPERVISED not in os.environ


def supervise(world: World, most: int, run_dir: Path) -> int:
    """Run the command of this process again on other ranks, until it is done or fails too often.

    Those ranks check what there is to check, hold the run directory and write in it; these do not.
    All ranks must call it. They return the exit status of the last attempt, of 1 + ``most``.

    Raises:
        ConfigError: the ranks are on several nodes, or in a Slurm job.
    """
    if world.size > world.node_size or "SLURM_JOB_ID" in os.environ:
        raise ConfigError(
            "run.restarts is for mpirun on one machine; in a Slurm job leave it out and use "
            "sbatch --requeue",
            on_all_ranks=True,
        )
    root = world.broadcast_json(os.getpid())
    cores = world.gather_json(sorted(os.sched_getaffinity(0)))
    supervisor = Supervisor(root)
    status = 0
    with handling(supervisor.pass_on):
        if world.is_root:
            status = supervisor.run(most, run_dir, cores)
        world.wait_asleep()
    return int(world.broadcast_json(status))


class Supervisor:
    """Rank 0's hold of the mpirun that it has started; on other ranks, a way to signal it."""

    def __init__(self, root: int) -> None:
        """Make one; ``root`` is the process of rank 0."""
        self._root = root
        self._process: subprocess.Popen[bytes] | None = None
        self._is_asked = False

    def run(self, most: int, run_dir: Path, cores: list[list[int]]) -> int:
        """Start attempts, bound to ``cores``, until one ends for good; return its status.

        Rank 0 alone calls it.
        """
        for attempt in range(1 + most):
            words = sys.argv[1:]
            if attempt and checkpoint_directory.has_any(run_dir):
                words = [*words, "--resume", "auto"]
            status = self._attempt(command(cores, words))
            if self._is_asked and status == 128 + signal.SIGUSR1:
                status = _STOPPED  # before its launcher could pass the signal on
            if status in (_DONE, _WRONG, _STOPPED) or self._is_asked or attempt == most:
                break
            print(
                f"hpcgan: the run ended with status {status}: restart {attempt + 1} of {most} "
                "(run.restarts)",
                flush=True,
            )
        return status

    def _attempt(self, line: list[str]) -> int:
        """Run one attempt and return its exit status."""
        self._process = subprocess.Popen(
            line, env=environment(os.environ), stdin=subprocess.DEVNULL
        )
        if self._is_asked:  # since the last attempt ended
            self._process.send_signal(signal.SIGUSR1)
        status = self._process.wait()
        return status if status >= 0 else 128 - status

    def pass_on(self, number: int, frame: FrameType | None) -> None:
        """Pass a signal on, as the one that mpirun gives to its ranks."""
        if os.getpid() != self._root:
            os.kill(self._root, number)
        elif self._process is not None and self._process.poll() is None:
            # The first one stops the run with a checkpoint; a second Ctrl-C ends it at once.
            is_second = self._is_asked and number == signal.SIGINT
            self._process.send_signal(signal.SIGTERM if is_second else signal.SIGUSR1)
        self._is_asked = True


def environment(outer: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the ranks that train: without what identifies these ones to MPI."""
    kept = {
        name: value
        for name, value in outer.items()
        if not name.startswith(("OMPI_", "PMIX_", "PRTE_"))
        or name.startswith(("OMPI_ALLOW_", "OMPI_MCA_", "PMIX_MCA_", "PRTE_MCA_"))
    }
    for name in ("OMPI_MCA_num_procs", "OMPI_MCA_initial_wdir", "OMPI_MCA_PREFIXES"):
        kept.pop(name, None)
    return kept | {_SUPERVISED: "1"}


def command(cores: list[list[int]], words: list[str]) -> list[str]:
    """Return the command line of an attempt, which ends when this process does.

    ``cores`` are those to which each rank is bound; ``words``, those after ``hpcgan``.
    """
    program = [sys.executable, "-m", "hpcgan", *words]
    line = ["setpriv", "--pdeathsig", "TERM"]
    if len(cores) == 1:
        return [*line, *program]
    mpirun = shutil.which("mpirun", path=str(Path(sys.executable).parent)) or "mpirun"
    line += [mpirun, "--oversubscribe", "--bind-to", "none"]
    for rank, own in enumerate(cores):
        line += [":"] * (rank > 0) + ["-n", "1", "taskset", "-c", ",".join(map(str, own)), *program]
    return line
