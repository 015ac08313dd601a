"""A Slurm cluster of several hosts on this machine (slurm/testbed), and jobs on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import launching

ROOT = Path(__file__).parents[2]
_PROGRAM = ROOT / "slurm" / "testbed" / "testbed"
_CANNOT = 77  # the exit status of a testbed that this machine has not what it needs for

ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED"}


class NotPossibleError(Exception):
    """This machine cannot have a testbed; says why."""


class Cluster:
    """The hosts login, node1, node2 .., up until ``close``, or until this process is gone.

    Attributes:
        environment: of everything that is started on the hosts: hpcgan's programs on PATH, and
            what slurm/*.sbatch take from it.
    """

    def __init__(self, nodes: int) -> None:
        """Start it.

        Raises:
            NotPossibleError: the machine lacks programs, or the rights.
        """
        self._home = Path(tempfile.mkdtemp(prefix="hpcgan-testbed-"))
        self.environment = {**os.environ, **launching.ENVIRONMENT}
        self.environment["TESTBED_HOME"] = str(self._home)
        self.environment["HPCGAN_VENV"] = sys.prefix
        self.environment["PATH"] = f"{sys.prefix}/bin:{os.environ.get('PATH', os.defpath)}"
        self._down: set[str] = set()
        self._holder = subprocess.Popen(
            [_PROGRAM, "hold", str(nodes)],
            env=self.environment,
            stdin=subprocess.PIPE,  # the cluster ends when it does, as when pytest is killed
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "ready\n":
            _, errors = self._holder.communicate()
            if self._holder.returncode == _CANNOT:
                raise NotPossibleError(errors.strip())
            raise AssertionError(f"the testbed did not start: {errors}")

    def close(self) -> None:
        """End all its processes."""
        self._call("down")
        self._holder.communicate(timeout=60)
        shutil.rmtree(self._home)

    def on(
        self, host: str, *words: object, place: Path | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a host, in the directory ``place``; its exit status may be any."""
        return subprocess.run(
            [_PROGRAM, "on", host, *map(str, words)],
            cwd=place,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def submit(self, place: Path, *words: object, **environment: str) -> Job:
        """Call ``sbatch WORDS`` in a directory, with more variables in the environment."""
        variables = [f"{name}={value}" for name, value in environment.items()]
        done = self.on("login", "env", *variables, "sbatch", "--parsable", *words, place=place)
        assert done.returncode == 0, done.stderr
        return Job(self, done.stdout.strip())

    def shape(self, rate: str) -> None:
        """Limit what every host sends and receives: "100mbit", or "off"."""
        self._call("shape", rate)

    def kill(self, host: str) -> None:
        """Let a node fail as if its power did."""
        self._call("kill", host)
        self._down.add(host)

    def start(self, host: str) -> None:
        """Bring a killed node back."""
        self._call("start", host)
        self._down.remove(host)

    def restore(self) -> None:
        """Cancel all jobs, and make all nodes and links as they were in the beginning."""
        self.on("login", "scancel", "--full", "--signal=KILL", "--user=root")
        self.on("login", "scancel", "--user=root")
        for host in sorted(self._down):
            self.start(host)
        self.shape("off")
        wait_for(lambda: not self.on("login", "squeue", "-h").stdout, 60, "the queue to be empty")

    def _call(self, *words: str) -> None:
        done = subprocess.run(
            [_PROGRAM, *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr


class Job:
    """A job, or a task of an array: ID, or ARRAY_TASK."""

    def __init__(self, cluster: Cluster, number: str) -> None:
        """Name it."""
        self._cluster = cluster
        self.number = number

    def facts(self) -> dict[str, str]:
        """Return what ``scontrol show job`` tells: JobState, ExitCode, Restarts, NodeList .."""
        shown = self._cluster.on("login", "scontrol", "-o", "show", "job", self.number)
        assert shown.returncode == 0, shown.stderr
        pairs = (word.partition("=") for word in shown.stdout.split())
        return {name: value for name, _, value in pairs}

    @property
    def state(self) -> str:
        """Return its JobState: PENDING, RUNNING, COMPLETING, COMPLETED, FAILED .."""
        return self.facts()["JobState"]

    def output(self) -> str:
        """Return what it has written so far to its standard output."""
        path = Path(self.facts()["StdOut"])
        return path.read_text(errors="replace") if path.is_file() else ""

    def wait(self, *states: str, seconds: float = 120) -> dict[str, str]:
        """Return its facts when it is in one of the states; fail after so many seconds."""
        wait_for(lambda: self.state in states, seconds, f"{self}: {states}", self.describe)
        return self.facts()

    def wait_to_end(self, seconds: float = 120) -> dict[str, str]:
        """Return its facts when it has ended in any way, and is not to start again."""
        return self.wait(*ENDED, seconds=seconds)

    def wait_until(self, condition: Callable[[], object], what: str, seconds: float = 120) -> None:
        """Wait for something that the job does; fail when it has ended or the time is over."""

        def met() -> bool:
            if condition():
                return True
            assert self.state not in ENDED, f"{self} ended before: {what}\n{self.describe()}"
            return False

        wait_for(met, seconds, what, self.describe)

    def describe(self) -> str:
        """Return all that a failed test should tell of it."""
        return f"{self.facts()}\n{self.output()[-4000:]}"

    def __str__(self) -> str:
        return f"job {self.number}"


def wait_for(
    condition: Callable[[], object],
    seconds: float,
    what: str,
    describe: Callable[[], str] = lambda: "",
) -> None:
    """Return when the condition holds; fail after so many seconds, and say what was awaited."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"in {seconds:g} s not: {what}\n{describe()}")
        time.sleep(0.2)
