"""Ranks that end all others, with a pipe for what they say that is full and that nobody reads."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from launching import ENVIRONMENT, mpirun

LONG = 60.0  # seconds that nothing here takes unless it hangs

_USER_ERROR = """
from hpcgan import cli, errors
def run(world, arguments):
    raise errors.DataError("part.h5: gone")
cli._train = run
sys.argv = ["hpcgan", "train", "x.yaml"]
sys.exit(cli.main())
"""
_BUG = """
from hpcgan.world import World
World()
raise ValueError("a bug")
"""
_BUG_IN_A_THREAD = """
import threading
from hpcgan.world import World
World()
threading.Thread(target=lambda: 1 / 0).start()
time.sleep(600)
"""
_STALL = """
from hpcgan.training.heartbeat import Heartbeat
from hpcgan.world import World
world = World()
watch = Heartbeat(world, 2.0)
with watch.beating():
    with watch.updating(0):
        world.barrier()
    if world.rank == world.size - 1:
        print("x" * 99, flush=True)  # which waits for ever itself where nobody reads
        time.sleep(600)
    world.barrier()
"""


@pytest.fixture
def full_pipe() -> Iterator[int]:
    """Return the end to write to of a pipe that is full, and that nobody reads."""
    ours, theirs = os.pipe()
    flags = fcntl.fcntl(theirs, fcntl.F_GETFL)
    fcntl.fcntl(theirs, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    for size in (4096, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(theirs, b"x" * size)
    fcntl.fcntl(theirs, fcntl.F_SETFL, flags)
    yield theirs
    os.close(theirs)
    os.close(ours)


def start(place: Path, program: str, pipe: int, launcher: list[str]) -> subprocess.Popen[bytes]:
    """Start a program with ``pipe`` for all that it and its launcher say."""
    program = f"import sys, time\n{program}"
    return subprocess.Popen(
        [*launcher, sys.executable, "-c", program],
        cwd=place,
        env=os.environ | ENVIRONMENT,
        stdout=pipe,
        stderr=pipe,
        start_new_session=True,
    )


@pytest.mark.parametrize(
    ("program", "status"),
    [(_USER_ERROR, 2), (_BUG, 1), (_BUG_IN_A_THREAD, 1), (_STALL, 1)],
    ids=["a user error", "a bug", "a bug in a thread", "a stall"],
)
def test_a_rank_alone_ends_though_nobody_reads_why(
    tmp_path: Path, full_pipe: int, program: str, status: int
) -> None:
    process = start(tmp_path, program, full_pipe, [])
    try:
        assert process.wait(LONG) == status
    finally:
        process.kill()


def running(children: Path) -> list[str]:
    """Return the processes that run, of those that a launcher may not have taken note of."""
    states = []
    with contextlib.suppress(OSError):  # they are gone
        for child in children.read_text().split():
            states += [(Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0])]
    return [state for state in states if state != "Z"]


def test_all_ranks_end_though_nobody_reads_why_and_their_launcher_itself_waits(
    tmp_path: Path, full_pipe: int
) -> None:
    process = start(tmp_path, _STALL, full_pipe, mpirun(3))
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    end = time.monotonic() + LONG
    try:
        while len(running(children)) < 3:  # or none of what follows would be seen
            assert time.monotonic() < end
            time.sleep(0.02)
        while left := running(children):
            assert time.monotonic() < end, left
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
