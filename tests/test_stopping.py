"""Runs that are killed or asked to stop, and the same command that goes on with them.

Signals are sent by ``tests.chaos``, a short form of which is among the tests.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from launching import CONFIG, only_line, start

from hpcgan import checkpoint


@pytest.fixture
def place(data_file: Path) -> Path:
    """Return a directory with data and a config."""
    data_file.with_name("config.yaml").write_text(CONFIG)
    return data_file.parent


def _wait_for_step(place: Path, process: subprocess.Popen[str], step: int) -> None:
    """Return when the run's journal has a line for ``step``; fail if the run ends before."""
    journal = place / "runs" / "hpcgan" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, "the run ended before it could be killed"
        if journal.exists():
            lines = [text for text in journal.read_text().splitlines() if text.endswith("}")]
            if lines and json.loads(lines[-1])["step"] >= step:
                return
        time.sleep(0.02)  # the run needs the cores
    raise AssertionError(f"no line for step {step} in 120 s")


def _ranks_of(launcher: int) -> list[int]:
    """Return the process ids of mpirun's ranks, ascending."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    return sorted(int(child) for child in children)


def test_a_killed_rank_ends_the_run_and_the_same_command_finishes_it(python, place):
    steps = 20_000
    words = ["-m", "hpcgan", "train", "config.yaml", "--train.steps", str(steps)]
    process = start(place, *words, ranks=2)
    # The checkpoint of step 40 waits for that of step 30, and comes before the line of step 50.
    _wait_for_step(place, process, 50)
    os.kill(_ranks_of(process.pid)[-1], signal.SIGKILL)
    process.communicate(timeout=10)
    assert process.returncode != 0
    run = place / "runs" / "hpcgan"
    found, _ = checkpoint.newest(run / "checkpoints")
    assert found is not None
    assert 30 <= found.step < steps
    words[-1] = str(found.step + 20)
    done = python(*words, ranks=2)
    assert done.returncode == 0, done.stderr
    assert f"going on from runs/hpcgan/checkpoints/step_{found.step:08d}.h5" in done.stdout
    text = (run / "metrics.jsonl").read_text()
    recorded = [json.loads(line)["step"] for line in text.splitlines()]
    assert recorded == list(range(10, found.step + 21, 10))
    again = python(*words, ranks=2)
    assert again.returncode == 0
    assert again.stdout.count("finished already") == 1


def test_a_time_limit_stops_the_run_the_same_way(python, place):
    done = python("-m", "hpcgan", "train", "config.yaml", "--run.time_limit=1e-6", ranks=2)
    assert done.returncode == 85, done.stderr
    line = only_line(done.stderr)
    assert line.startswith("stopped after step 1 by its time limit of 1e-06 minutes (rank 0)")
