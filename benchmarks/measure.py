"""What the benchmarks share: digits and networks to train, turns, medians, programs to start."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, TypeVar

import h5py
import numpy as np
from scipy.stats import mstats

from data_tools.digits import digit_images
from hpcgan.all_reduce import AllReduce, identity
from hpcgan.config import Config, DataConfig, ModelConfig, TrainConfig

if TYPE_CHECKING:
    from hpcgan.parallel.synchronous import Synchronous
    from hpcgan.world import World

ROOT = Path(__file__).resolve().parent.parent
MPIRUN = str(Path(sys.executable).with_name("mpirun"))
DIGITS = 60_000
# Steps of a call, as training chooses them where nothing is due sooner.
STEPS_PER_CALL = {"mlp": 100, "dcgan": 6}

Way = TypeVar("Way")
Result = TypeVar("Result")


def in_turns(
    ways: Mapping[Way, Callable[[], Result]], turns: int, uncounted: int = 1
) -> dict[Way, list[Result]]:
    """Return what each way of doing one thing gave in each turn.

    The ways take turns, so that a machine that slows down or speeds up does so for all of them;
    every second time backwards, since which comes first must not matter. Before them come turns
    that are not counted: none where all has run once already.
    """
    found: dict[Way, list[Result]] = {way: [] for way in ways}
    for turn in range(uncounted + turns):
        for way in list(ways)[:: -1 if turn % 2 else 1]:
            found[way].append(ways[way]())
    return {way: each[uncounted:] for way, each in found.items()}


def rates(ways: Mapping[str, Callable[[], int]], turns: int) -> dict[str, float]:
    """Return the median rate of each way, in items per second.

    Args:
        ways: each does its work once and returns the number of items that it worked on.
        turns: see ``in_turns``.
    """

    def timed(work: Callable[[], int]) -> float:
        began = time.perf_counter()
        items = work()
        return items / (time.perf_counter() - began)

    found = in_turns({name: partial(timed, work) for name, work in ways.items()}, turns)
    return {name: median(each) for name, each in found.items()}


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the median of six values or more and the bounds of its 95 % interval."""
    low, high = mstats.median_cihs(values)
    return median(values), float(low), float(high)


def many_digits() -> np.ndarray:
    """Return the real digits again and again, each time moved a little: (DIGITS, 28, 28, 1)."""
    digits, _ = digit_images(28)
    rng = np.random.default_rng(0)
    copies = [
        np.roll(digits[rng.permutation(len(digits))], tuple(rng.integers(-3, 4, 2)), (1, 2))
        for _ in range(-(-DIGITS // len(digits)))
    ]
    return np.concatenate(copies)[:DIGITS]


@contextmanager
def shared_run(world: World, **storage: Any) -> Iterator[tuple[Path, str]]:
    """Give all ranks a directory of their own and, in it, what ``write_run`` writes.

    All ranks must enter it together; each leaves it when all do.
    """
    with tempfile.TemporaryDirectory() as own:
        directory = Path(world.broadcast_json(own))
        yield directory, world.on_root(lambda: write_run(directory, **storage))
        world.barrier()


def write_run(directory: Path, **storage: Any) -> str:
    """Write digits.h5, with options of h5py, and the configuration of a DCGAN; return its path."""
    with h5py.File(directory / "digits.h5", "w") as file:
        file.create_dataset("images", data=many_digits(), **storage)
    config = directory / "config.yaml"
    config.write_text(
        f"data: {{files: [{directory / 'digits.h5'}], residency: memory}}\nmodel: {{name: dcgan}}\n"
        "train: {steps: 1000000, batch_size: 64}\n",
        encoding="utf-8",
    )
    return str(config)


class NoiseTraining:
    """Training steps on noise of 28x28, without files.

    Attributes:
        strategy: which makes them.
    """

    def __init__(
        self,
        model: str,
        shards: int,
        hosted: range,
        all_reduce: AllReduce = identity,
        batch_size: int = 64,
    ) -> None:
        """Make the networks and compile the steps.

        Args:
            model: "mlp" or "dcgan".
            shards: of all ranks that exchange.
            hosted: those of this rank.
            all_reduce: the sum over those ranks.
            batch_size: of a shard.
        """
        import tensorflow as tf

        from hpcgan.gan.state import State
        from hpcgan.parallel.synchronous import Synchronous

        config = Config(
            data=DataConfig(files=[], shards=shards),
            model=ModelConfig(model),  # type: ignore[arg-type]
            train=TrainConfig(batch_size=batch_size),
        )
        state = State(config, (28, 28, 1))
        self.strategy: Synchronous = Synchronous(config, state, "uint8", hosted, all_reduce)
        shape = (STEPS_PER_CALL[model], len(hosted), batch_size, 28, 28, 1)
        self._samples = tf.constant(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
        self._first = tf.constant(0, tf.int64)

    def call(self, steps: int | None = None) -> None:
        """Make a call of some steps, by default and at most ``STEPS_PER_CALL``."""
        self.strategy.run(self._samples[:steps], self._first).losses.numpy()

    def seconds(self) -> float:
        """Make a call and return the seconds that it took."""
        began = time.perf_counter()
        self.call()
        return time.perf_counter() - began


def environment() -> dict[str, str]:
    """Return what programs are started in: root allowed, this project found."""
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    ours = {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    return os.environ | root | ours


def run(command: Sequence[str]) -> str:
    """Run a program and return what it prints; end this one with that if it fails."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout
