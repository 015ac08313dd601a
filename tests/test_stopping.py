"""Runs that are killed or asked to stop, and the same command that goes on with them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hpcgan import checkpoint

_CONFIG = """
data: {files: [data.h5]}
model: {latent_dim: 6}
train: {steps: 100, batch_size: 5}
checkpoint: {every_steps: 10}
log: {every_steps: 10}
"""


@pytest.fixture
def place(data_file: Path) -> Path:
    """Return a directory with data and a config."""
    data_file.with_name("config.yaml").write_text(_CONFIG)
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
    raise AssertionError(f"no line for step {step} in 120 s")


def _ranks_of(launcher: int) -> list[int]:
    """Return the process ids of mpirun's ranks, ascending."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    return sorted(int(child) for child in children)


def _start(place: Path, words: list[str], ranks: int) -> subprocess.Popen[str]:
    """Start a program under mpirun and return it while it runs."""
    mpirun = [str(Path(sys.executable).with_name("mpirun")), "--oversubscribe", "-n", str(ranks)]
    return subprocess.Popen(
        [*mpirun, sys.executable, *words],
        cwd=place,
        env=os.environ
        | {
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_killed_rank_ends_the_run_and_the_same_command_finishes_it(python, place):
    steps = 20_000
    words = ["-m", "hpcgan", "train", "config.yaml", "--train.steps", str(steps)]
    process = _start(place, words, ranks=2)
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


@pytest.mark.parametrize(
    ("number", "to"),
    [
        (signal.SIGUSR1, [0]),
        (signal.SIGTERM, [1]),
        (signal.SIGINT, [0, 1]),
        (signal.SIGUSR1, "mpirun"),
    ],
)
def test_a_signal_stops_the_run_with_a_checkpoint_and_the_same_command_goes_on(
    python, place, number, to
):
    words = ["-m", "hpcgan", "train", "config.yaml", "--train.steps", "20000"]
    words += ["--checkpoint.every_steps=100000", "--log.samples_every_steps=100000"]
    process = _start(place, words, ranks=2)
    _wait_for_step(place, process, 20)
    targets = [process.pid] if to == "mpirun" else [_ranks_of(process.pid)[rank] for rank in to]
    for target in targets:
        os.kill(target, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 85, errors
    line = _only_line(errors)
    said = re.fullmatch(r"stopped after step (\d+) by (.*); its checkpoint is written: .*", line)
    asked = [0, 1] if to == "mpirun" else to
    assert said[2] == ", ".join(f"{number.name} (rank {rank})" for rank in asked)
    step = int(said[1])
    words[words.index("20000")] = str(step + 10)
    done = python(*words, ranks=2)
    assert done.returncode == 0, done.stderr
    assert f"step_{step:08d}.h5, step {step}, in" in done.stdout


def test_a_time_limit_stops_the_run_the_same_way(python, place):
    done = python("-m", "hpcgan", "train", "config.yaml", "--run.time_limit=1e-6", ranks=2)
    assert done.returncode == 85, done.stderr
    line = _only_line(done.stderr)
    assert line.startswith("stopped after step 10 by its time limit of 1e-06 minutes (rank 0)")


def _only_line(errors: str) -> str:
    """Return what a run said in one line, without a traceback."""
    assert "Traceback" not in errors
    # mpirun may put the end of its own banner, a zero byte, before a rank's line.
    lines = [line.strip("\0 ") for line in errors.splitlines()]
    (line,) = [line for line in lines if line.startswith("hpcgan: ")]
    return line.removeprefix("hpcgan: ")
