"""Runs that are killed, stopped by signals, or lose a rank; part of ``tests.chaos``."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np

from hpcgan.checkpoint import Checkpoint, newest, path_of, read
from tests.chaos_files import Failure, is_same
from tests.run import members

ROOT = Path(__file__).resolve().parent.parent
MPIRUN = [str(Path(sys.executable).with_name("mpirun")), "--oversubscribe"]
STALLS = ("infinite loop", "SIGSTOP")
DEATH_SECONDS = 10.0

_CONFIG = {
    "data": {"files": ["data.h5"]},
    "model": {"latent_dim": 6},
    "train": {"batch_size": 5},
    "checkpoint": {"every_steps": 40},
    "log": {"every_steps": 40, "samples_every_steps": 100000},
}


class Place:
    """A directory with data and a configuration, in which runs are started.

    As a context it ends, when it is left, all that was started and still runs.
    """

    def __init__(self, directory: Path, **train: int) -> None:
        """Write the data and the configuration."""
        self.directory = directory
        self._started: list[int] = []
        images = np.random.default_rng(0).integers(0, 256, (400, 8, 8, 1), np.uint8)
        with h5py.File(directory / "data.h5", "w") as file:
            file["images"] = images
        config = {**_CONFIG, "train": {**_CONFIG["train"], **train}}
        (directory / "config.yaml").write_text(json.dumps(config))

    def start(self, ranks: int, *words: str) -> subprocess.Popen[str]:
        """Start Python on some ranks: one alone needs no mpirun."""
        launcher = [*MPIRUN, "-n", str(ranks)] if ranks > 1 else []
        process = subprocess.Popen(
            [*launcher, sys.executable, *words],
            cwd=self.directory,
            env=os.environ
            | {
                "PYTHONPATH": str(ROOT),
                "OMPI_ALLOW_RUN_AS_ROOT": "1",
                "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._started.append(process.pid)
        return process

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *error: object) -> None:
        for leader in self._started:
            for pid in members(leader):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def train(self, ranks: int, run: str, *overrides: str) -> subprocess.Popen[str]:
        """Start a run, or go on with it."""
        words = ("-m", "hpcgan", "train", "config.yaml", "--run-dir", run, *overrides)
        return self.start(ranks, *words)

    def weights(self, run: str, step: int) -> Checkpoint:
        """Return the checkpoint of a step of a run."""
        return read(path_of(self.directory / run / "checkpoints", step))

    def newest_step(self, run: str) -> int | None:
        """Return the step in the name of a run's newest checkpoint, if there is any."""
        names = sorted(self.directory.glob(f"{run}/checkpoints/step_*.h5"))
        return int(names[-1].stem.removeprefix("step_")) if names else None

    def starts(self, run: str) -> int:
        """Return how often a run has been started or gone on with."""
        path = self.directory / run / "history.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return sum('"started"' in line or '"resumed"' in line for line in lines)

    def wait_to_kill(self, process: subprocess.Popen[str], run: str, chance: random.Random) -> None:
        """Wait until some moment: mostly while it makes steps, now and then while it starts."""
        before, seconds = self.newest_step(run), chance.uniform(0.0, 2.0)
        if chance.random() < 0.2:
            seconds *= 3
        else:
            while self.newest_step(run) in (before, 0) and process.poll() is None:
                time.sleep(0.02)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)

    def wait_for_step(self, process: subprocess.Popen[str], run: str, start: int, step: int) -> int:
        """Wait for the journal's line of ``step`` or a later one; return that.

        Lines from before start number ``start`` are of a run that was killed, and made again.
        """
        path = self.directory / run / "metrics.jsonl"
        end = time.monotonic() + 300
        while time.monotonic() < end:
            if process.poll() is not None:
                raise Failure(f"the run ended before step {step}: {process.communicate()[0]}")
            is_new = self.starts(run) >= start
            lines = path.read_text().splitlines() if is_new else []
            if lines and lines[-1].endswith("}") and json.loads(lines[-1])["step"] >= step:
                return int(json.loads(lines[-1])["step"])
            time.sleep(0.02)
        raise Failure(f"no line for step {step} in 300 s")


def ranks_of(launcher: int) -> list[int]:
    """Return the processes of mpirun's ranks, ascending."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    return sorted(int(child) for child in children)


# How runs are started: ranks, and the way of training.
WAYS: list[tuple[int, tuple[str, ...]]] = [
    (1, ()),
    (2, ()),
    (2, ("--parallel.mode=split",)),
    (2, ("--train.discriminators=2",)),
]


def kill_runs(
    directory: Path,
    count: int,
    steps: int,
    ways: Sequence[tuple[int, tuple[str, ...]]],
) -> str:
    """Kill whole runs of each way at random moments until they are done.

    Those on one rank go two at a time: each uses one core, and much of its time is the start.
    """
    with Place(directory, steps=steps) as place, ThreadPoolExecutor() as pool:
        told = []
        for number, (ranks, way) in enumerate(ways):
            _finish(place, ranks, f"whole-{number}", *way)
            expected = place.weights(f"whole-{number}", steps)
            kills = [count // 2] if ranks > 1 else [count // 2 - count // 4, count // 4]
            lanes = [
                pool.submit(_kill_some, place, ranks, f"{number}-{lane}", most, expected, way)
                for lane, most in enumerate(kills)
            ]
            seen: Counter[str] = sum((lane.result() for lane in lanes), Counter())
            told.append(
                f"{seen['kills']} kills of runs on {ranks} ranks, {' '.join(way) or 'synchronous'} "
                f"({seen['at its start']} before the first checkpoint): {seen['runs']} runs "
                "ended with the weights of the run "
                f"that was never killed, {seen['resumed']} restarts took the newest checkpoint"
            )
        return "\n".join(told)


def _kill_some(
    place: Place, ranks: int, lane: str, most: int, expected: Checkpoint, way: tuple[str, ...]
) -> Counter[str]:
    """Kill runs, one after the other, until there were so many kills; return what was seen."""
    chance, seen = random.Random(lane), Counter[str]()
    while seen["kills"] < most:
        run = f"killed-{lane}-{seen['runs']}"
        _kill_until_done(place, ranks, run, most, chance, seen, way)
        if not is_same(place.weights(run, expected.step), expected):
            raise Failure(f"{run}: its weights are not those of a run that was never killed")
        seen["runs"] += 1
    return seen


def _kill_until_done(
    place: Place,
    ranks: int,
    run: str,
    most: int,
    chance: random.Random,
    seen: Counter[str],
    way: tuple[str, ...],
) -> None:
    """Start a run again and again, killing it, until it is done or was killed often enough."""
    checkpoints = place.directory / run / "checkpoints"
    while True:
        before, _ = newest(checkpoints)
        process = place.train(ranks, run, *way)
        if seen["kills"] < most:
            place.wait_to_kill(process, run, chance)
        else:
            process.wait(300)
        if process.poll() is None:
            _kill(process, ranks, chance)
            seen["kills"] += 1
            seen["at its start"] += not any(checkpoints.glob("step_*.h5"))
        said = process.communicate(timeout=60)[0]
        wait_for_all(process.pid)
        seen["resumed"] += _check_start(said, before)
        partial = list(checkpoints.glob("*.partial"))
        if len(partial) > 1:
            raise Failure(f"{len(partial)} temporary files in {checkpoints}")
        if process.returncode == 0:
            return


def _kill(process: subprocess.Popen[str], ranks: int, chance: random.Random) -> None:
    """Kill a run: one rank of it, its launcher, or all processes at once."""
    how = chance.choice(["rank", "launcher", "all"]) if ranks > 1 else "all"
    with contextlib.suppress(ProcessLookupError, FileNotFoundError, IndexError):
        if how == "rank":
            os.kill(chance.choice(ranks_of(process.pid)), signal.SIGKILL)
            return
        own = ranks_of(process.pid) if how == "all" and ranks > 1 else []
        for pid in [process.pid, *own]:
            os.kill(pid, signal.SIGKILL)


def _check_start(said: str, before: Checkpoint | None) -> bool:
    """Check that a run has begun where the last one ended; return whether it went on."""
    if "warning:" in said or "Traceback" in said:
        raise Failure(f"a restart said: {said}")
    started = re.search(r"a new run|going on from \S+, step (\d+)", said)
    if started and (before.step if before else None) != (started[1] and int(started[1])):
        raise Failure(f"the newest checkpoint was {before and before.step}, and it said: {said}")
    return bool(started and started[1])


def _finish(place: Place, ranks: int, run: str, *way: str) -> None:
    """Run to the last step."""
    process = place.train(ranks, run, *way)
    said = process.communicate(timeout=300)[0]
    if process.returncode:
        raise Failure(f"{run}: {said}")


def send_signals(directory: Path, turns: list[tuple[str, signal.Signals]]) -> str:
    """Stop one run on 2 ranks again and again by signals, and go on at the very next step."""
    with Place(directory, steps=10**7) as place:
        step, told = 0, []
        for start, (to, number) in enumerate(turns, 1):
            process = place.train(2, "run", "--checkpoint.every_steps=1000000000")
            begun = place.wait_for_step(process, "run", start, step + 40)
            own = ranks_of(process.pid)
            targets = {"all": own, "mpirun": [process.pid], "rank 0": own[:1], "rank 1": own[1:]}
            for pid in targets[to]:
                os.kill(pid, number)
            said = process.communicate(timeout=60)[0]
            started = re.search(r"a new run|going on from \S+, step (\d+)", said)
            if not started or int(started[1] or 0) != step:
                raise Failure(f"after step {step} it went on elsewhere: {said}")
            if (to, number) == ("mpirun", signal.SIGTERM):
                found, _ = newest(place.directory / "run" / "checkpoints")
                kept = found.step if found else 0
                told.append(
                    f"SIGTERM to mpirun: status {process.returncode}, since it kills its ranks; "
                    f"the newest checkpoint is of step {kept} ({begun} or later had been made)"
                )
                step = kept
                continue
            stopped = re.search(r"stopped after step (\d+) by (.*); its checkpoint", said)
            asked = [to] if to in ("rank 0", "rank 1") else ["rank 0", "rank 1"]
            by = ", ".join(f"{number.name} ({each})" for each in asked)
            if process.returncode != 85 or not stopped or stopped[2] != by:
                raise Failure(f"{number.name} to {to}: status {process.returncode}: {said}")
            if int(stopped[1]) < begun:
                raise Failure(f"step {begun} had been made, and it stopped after {stopped[1]}")
            step = int(stopped[1])
            told.append(f"{number.name} to {to}: status 85 after step {step}")
        return "\n".join([*told, "each next start went on at the very next step"])


def signal_turns() -> list[tuple[str, signal.Signals]]:
    """Return every signal to everyone."""
    return [
        (to, number)
        for number in (signal.SIGTERM, signal.SIGUSR1)
        for to in ("rank 0", "rank 1", "all", "mpirun")
    ]


def fail_ranks(directory: Path, cases: list[tuple[str, int]], stall_seconds: float) -> str:
    """Have a rank fail in each way, and measure until all have ended."""
    with Place(directory, steps=10**7) as place:
        told = []
        for kind, ranks in cases:
            rank = ranks - 1
            words = ["-m", "tests.failing_rank", kind, str(rank), "30"]
            words += ["train", "config.yaml", "--run-dir", f"{kind} {ranks}"]
            process = place.start(ranks, *words, f"--run.stall_seconds={stall_seconds}")
            said = process.communicate(timeout=300)[0].replace("\0", "")
            failed_at = float((directory / "failed_at").read_text())
            seconds = time.time() - failed_at
            limit = stall_seconds if kind in STALLS else DEATH_SECONDS
            named = re.search(rf"hpcgan: rank {rank} (of {ranks} )?on \S+ .*step \d+", said)
            # Those that read HDF5 for the ranks end when they see that nobody asks any more.
            while (left := members(process.pid)) and time.time() - failed_at < limit:
                time.sleep(0.05)
            if not process.returncode or not named or seconds > limit or left:
                raise Failure(
                    f"{kind} on {ranks} ranks: status {process.returncode} after {seconds:.1f} s, "
                    f"{len(left)} processes left: {said}"
                )
            told.append(
                f"{kind} of one rank of {ranks}: status {process.returncode}, all ended in "
                f"{seconds:.1f} s (limit {limit:.0f}), '{named[0]}'"
            )
        return "\n".join(told)


def wait_for_all(leader: int) -> None:
    """Wait until all processes of a session have ended: ranks without a launcher take a moment."""
    end = time.monotonic() + DEATH_SECONDS
    while left := members(leader):
        if time.monotonic() > end:
            raise Failure(f"{len(left)} processes are left {DEATH_SECONDS:.0f} s after a kill")
        time.sleep(0.05)
