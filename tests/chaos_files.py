"""Checkpoints whose writer is killed, or that are damaged; part of ``tests.chaos``."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import numpy as np

from hpcgan import checkpoint, checkpoint_directory
from hpcgan.checkpoint import Checkpoint, newest, path_of, read
from hpcgan.config import Config, DataConfig
from hpcgan.errors import CheckpointError


class Failure(Exception):
    """Something was lost, late or wrong; the text says what."""


def kill_writers(directory: Path, count: int) -> str:
    """Kill a process at random moments while it writes checkpoints, and look at what is left."""
    chance = random.Random(0)
    step = found_step = in_write = 0
    most_partial = 0
    most_seconds = 4 * _seconds_of_a_write(directory / "timed")
    for _ in range(count):
        acknowledged, partial = _kill_one_writer(directory, step, chance.uniform(0.0, most_seconds))
        in_write += partial
        most_partial = max(most_partial, len(list(directory.glob("*.partial"))))
        found, warnings = newest(directory)
        if warnings:
            raise Failure(f"a checkpoint was not whole: {warnings[0]}")
        found_step = found.step if found else 0
        if found_step < acknowledged:
            raise Failure(f"step {acknowledged} had been written, and {found_step} is the newest")
        if found and not is_same(found, written(directory, found_step)):
            raise Failure(f"step {found_step} holds something else than was written")
        step = found_step
    if most_partial > 1:
        raise Failure(f"{most_partial} temporary files")
    if not in_write or not found_step:
        raise Failure(f"{count} kills met no writer at its work: nothing was tried")
    return (
        f"{count} kills of a writer, {in_write} of them in the middle of a file: 0 lost, 0 loaded "
        f"wrong, at most {most_partial} temporary file; {found_step} checkpoints"
    )


def _seconds_of_a_write(directory: Path) -> float:
    """Return how long a checkpoint takes here and now: a loaded disk may take ten times as long."""
    directory.mkdir()
    began = time.monotonic()
    for step in range(1, 6):
        checkpoint.write(written(directory, step))
    return (time.monotonic() - began) / 5


def _kill_one_writer(directory: Path, step: int, seconds: float) -> tuple[int, bool]:
    """Let a process write the checkpoints after ``step`` and kill it.

    Returns:
        The last step that it said to have written, and whether it left half a file.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            while True:
                step += 1
                checkpoint.write(written(directory, step))
                os.write(writer, b"%d\n" % step)
                checkpoint_directory.prune(path_of(directory, step), keep=3)
        os._exit(1)
    os.close(writer)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reader) as file:
        said = file.read().split()
    return int(said[-1]) if said else 0, any(directory.glob("*.partial"))


def written(directory: Path, step: int) -> Checkpoint:
    """Return the checkpoint of a step, whose numbers follow from it."""
    chance = np.random.default_rng(step)
    return Checkpoint(
        path=path_of(directory, step),
        step=step,
        images=step * 64,
        config=Config(data=DataConfig(files=["a.h5"], shards=1)),
        sample_shape=(8, 8, 1),
        dtype="uint8",
        data="40 samples",
        rollbacks=0,
        discarded=0,
        groups={
            group: {"kernel": chance.random((200, 200)).astype(np.float32)}
            for group in checkpoint.GROUPS
        },
    )


def is_same(one: Checkpoint, other: Checkpoint) -> bool:
    """Return whether two checkpoints hold the same numbers."""
    return all(
        np.array_equal(one.groups[group][name], array)
        for group, named in other.groups.items()
        for name, array in named.items()
    )


def damage_newest(directory: Path, count: int) -> str:
    """Flip bits of the newest of two checkpoints, and cut it short, at random places."""
    for step in (1, 2):
        checkpoint.write(written(directory, step))
    path = path_of(directory, 2)
    content = path.read_bytes()
    chance = np.random.default_rng(0)
    for number in range(count):
        place = int(chance.integers(len(content)))
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(chance.integers(8))
        path.write_bytes(damaged if number % 2 else content[:place])
        with contextlib.suppress(CheckpointError):
            read(path)
            raise Failure(f"damage number {number}, at byte {place}, was not seen")
        found, warnings = newest(directory)
        if not found or len(warnings) != 1 or not is_same(found, written(directory, 1)):
            raise Failure(f"damage number {number}: {warnings}")
    return f"{count} bit flips and truncations: 0 loaded wrong, {count} fell back to the one before"
