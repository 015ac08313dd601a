"""Run the whole suite: the tests of one process, then those under mpirun on 1 to 4 ranks.

    python tests/run.py              # all but those under Slurm
    python tests/run.py cluster      # those alone, on the cluster of slurm/testbed

Prints pytest's output as it comes, a table of the stages and a line of totals. The exit status
is 0 when every stage passed and ran a test. A stage that fails does not stop the next ones; one
that exceeds its time limit is killed and has failed. With the environment variable CI set a
skipped test has failed. The stage of one rank uses one core: it runs beside the first one, and
prints when that is done.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
SERIAL_LIMIT = 1500.0
MPI_LIMIT = 900.0
CLUSTER_LIMIT = 1500.0
MPI_RANKS = (1, 2, 3, 4)
MPI_TESTS = ("--durations=3", "tests/mpi")
# Seconds that mpirun has to end its ranks, before all of them are killed.
GRACE = 5.0

SUMMARY = re.compile(r"^=* ?(?P<counts>(?:\d+ [a-z]+(?:, )?)+) in \d[\d.]*s")
COUNT = re.compile(r"(\d+) ([a-z]+)")
COLUMN = {
    "passed": "passed",
    "xpassed": "passed",
    "failed": "failed",
    "error": "failed",
    "errors": "failed",
    "skipped": "skipped",
    "xfailed": "skipped",
}


@dataclass
class Stage:
    """A call of pytest, and what came of it."""

    name: str
    command: list[str]
    limit: float
    counts: dict[str, int] = field(default_factory=lambda: {"passed": 0, "failed": 0, "skipped": 0})
    skips: list[str] = field(default_factory=list)
    process: subprocess.Popen[str] | None = None
    seconds: float = 0.0
    problem: str = ""


def stages(which: str) -> Iterator[list[Stage]]:
    """List the stages of the suite, or of its part ``cluster``: those that run at once together."""
    # Under mpirun the output is a terminal to pytest, which would colour the line that is read.
    pytest = [sys.executable, "-m", "pytest", "-ra", "--color=no"]
    if which == "cluster":
        yield [Stage("Slurm", [*pytest, "--durations=0", "tests/cluster"], CLUSTER_LIMIT)]
        return
    # Three workers for two cores, since many tests wait for a process that they started; the one
    # that is done first takes tests of the others.
    serial = [*pytest, "-n", "3", "--dist", "worksteal", "--durations=10", "tests"]
    serial += ["--ignore", "tests/mpi", "--ignore", "tests/cluster"]
    one, *more = (
        Stage(
            f"mpirun -n {ranks}",
            [find_mpirun(), "-n", str(ranks), "--oversubscribe", *pytest, *MPI_TESTS],
            MPI_LIMIT,
        )
        for ranks in MPI_RANKS
    )
    yield [Stage("1 process", serial, SERIAL_LIMIT), one]
    yield from ([stage] for stage in more)


def find_mpirun() -> str:
    """Return the mpirun of this environment, else the one on PATH."""
    return shutil.which("mpirun", path=str(BIN)) or shutil.which("mpirun") or "mpirun"


def environment() -> dict[str, str]:
    """Return what the stages run in: this environment's programs first, root allowed."""
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    path = f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**root, **os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"}


def run_together(first: Stage, *others: Stage) -> None:
    """Run stages at once; show the output of the first as it comes, and the others' after it."""
    outputs: list[list[str]] = [[] for _ in others]
    threads = [
        threading.Thread(target=run, args=(stage, output.append))
        for stage, output in zip(others, outputs, strict=True)
    ]
    for thread in threads:
        thread.start()
    try:
        run(first, show)
    except BaseException:
        for stage in others:
            if stage.process:
                end_session(stage.process)
        raise
    for thread, output in zip(threads, outputs, strict=True):
        thread.join()
        show("".join(output))


def show(text: str) -> None:
    """Print output of a stage."""
    print(text, end="", flush=True)


def run(stage: Stage, tell: Callable[[str], None]) -> None:
    """Run a stage, give its output to ``tell`` as it comes, and fill in its results."""
    tell(f"\n##### {stage.name}: {' '.join(stage.command)}\n")
    start = time.monotonic()
    try:
        process = stage.process = subprocess.Popen(
            stage.command,
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        fail(stage, str(error))
        return
    status, late = follow(stage, process, tell)
    stage.seconds = time.monotonic() - start
    judge(stage, status, late)


def follow(
    stage: Stage, process: subprocess.Popen[str], tell: Callable[[str], None]
) -> tuple[int, bool]:
    """Read the output to its end; return the exit status and whether the time limit ended it."""
    late = threading.Event()

    def stop() -> None:
        late.set()
        end_session(process)

    timer = threading.Timer(stage.limit, stop)
    timer.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            tell(line)
            read(stage, line)
        status = process.wait()
    finally:
        timer.cancel()
        end_session(process)
    return status, late.is_set()


def read(stage: Stage, line: str) -> None:
    """Take the counts and the skipped tests from a line of pytest's output."""
    if line.startswith(("SKIPPED", "XFAIL")):
        stage.skips.append(line.strip())
    summary = SUMMARY.match(line)
    if summary:
        stage.counts = dict.fromkeys(stage.counts, 0)
        for number, word in COUNT.findall(summary["counts"]):
            if word in COLUMN:
                stage.counts[COLUMN[word]] += int(number)


def end_session(process: subprocess.Popen[str]) -> None:
    """End a stage's processes: mpirun gives each rank a group, but one session holds them all."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
    for pid in members(process.pid):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def members(session: int) -> list[int]:
    """Return the processes of a session that have not ended.

    Those of which only the exit status is left have ended: when their parent is gone it may take
    process 1 a second or more to fetch it.
    """
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # The name before the state may hold anything, a parenthesis too.
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            state, its_session = fields[0], fields[3]
            if int(its_session) == session and state not in "ZX":
                found.append(int(entry.name))
    return found


def judge(stage: Stage, status: int, late: bool) -> None:
    """Name what is wrong with a stage that ran, beyond its failed tests."""
    if os.environ.get("CI") and stage.counts["skipped"]:
        stage.counts["failed"] += stage.counts["skipped"]
        stage.counts["skipped"] = 0
        stage.problem = "skipped tests fail under CI"
    if late:
        fail(stage, f"killed after its time limit of {stage.limit:.0f} s")
    elif not any(stage.counts.values()):
        fail(stage, f"no test ran (exit status {status})")
    elif status and not stage.counts["failed"]:
        fail(stage, f"exit status {status}")


def fail(stage: Stage, problem: str) -> None:
    """Count a stage itself as a failure."""
    stage.counts["failed"] += 1
    stage.problem = problem


def report(done: list[Stage]) -> bool:
    """Print the skipped tests, the table and the totals; return whether all passed."""
    for stage in done:
        for skip in stage.skips:
            print(f"{stage.name}: {skip}")
    print(f"\n{'stage':<12} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8}")
    for stage in done:
        numbers = "{passed:>7} {failed:>7} {skipped:>8}".format(**stage.counts)
        print(f"{stage.name:<12} {numbers} {stage.seconds:>8.1f}  {stage.problem}".rstrip())
    total = {key: sum(stage.counts[key] for stage in done) for key in done[0].counts}
    skipped = f", {total['skipped']} skipped" if total["skipped"] else ""
    print(f"\n{total['passed']} passed, {total['failed']} failed{skipped}", flush=True)
    return total["failed"] == 0


def main() -> int:
    """Run every stage; return the exit status."""
    planned = list(stages(*sys.argv[1:] or ["all"]))
    with tempfile.TemporaryDirectory() as kept:
        # What one rank makes is compared with on 2, 3 and 4: it is made once.
        os.environ["HPCGAN_TEST_REFERENCES"] = str(Path(kept) / "references.json")
        for together in planned:
            run_together(*together)
    return 0 if report([stage for together in planned for stage in together]) else 1


if __name__ == "__main__":
    sys.exit(main())
