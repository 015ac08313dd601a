"""What a slow rank costs each way of training: images per second, with and without it.

    mpirun -n 2 --bind-to core python -m benchmarks.slow_rank

The DCGAN of 28x28, 64 real digits per shard, a shard per rank. In each of its steps rank 0 waits
50 ms longer than it computes; or each rank does so in a tenth of its steps, drawn at random.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from unittest.mock import patch

import numpy as np

from benchmarks.measure import STEPS_PER_CALL, in_turns, shared_run
from hpcgan.scaling.calls import opened
from hpcgan.world import World

if TYPE_CHECKING:
    import tensorflow as tf

    from hpcgan.gan.step import Given

WAYS = {
    "synchronous": [],
    "split, s = 1": ["--parallel.mode=split", "--train.staleness=1"],
    "local discriminators": ["--train.discriminators=WORLD"],
}
DELAY = 0.05
PART = 0.1
STEPS = 30
TURNS = 4

Train = Callable[["Given", "tf.Tensor"], "tf.Tensor"]


def main() -> None:
    """Measure on all ranks, print on rank 0."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    world = World()
    with shared_run(world) as (directory, config):
        if world.is_root:
            print(f"{world.size} ranks, DCGAN 28x28, images/s (part of those of no slow rank)")
            print(f"{'':<22}{'none':>8}{'rank 0 always':>18}{'each in a tenth':>18}")
        for name, words in WAYS.items():
            options = [each.replace("WORLD", str(world.size)) for each in words]
            line = measure(world, config, options, directory)
            if world.is_root:
                print(f"{name:<22}{line}", flush=True)


def measure(world: World, config: str, options: list[str], directory: Path) -> str:
    """Return a line about a way of training. All ranks must call it."""
    with opened(world, config, options, directory / "none") as given:
        from hpcgan.parallel import local, loop, split, synchronous
        from hpcgan.training.timer import Timer

        slow = Slow(world.rank)
        of_loop = loop.over_steps

        def over_steps(train_step: Train, *others: object, **more: object) -> tf.Tensor:
            return of_loop(slow.slowed(train_step), *others, **more)

        with (
            patch.object(local, "over_steps", over_steps),
            patch.object(split, "over_steps", over_steps),
            patch.object(synchronous, "over_steps", over_steps),
        ):
            trainer = given.trainer(given.over_ring(), Timer())
            trainer.fit(given.state.step + 2, most=1)

        def timed(kind: str) -> float:
            slow.kind = kind
            world.barrier()
            began = time.perf_counter()
            trainer.fit(given.state.step + STEPS, most=STEPS_PER_CALL["dcgan"])
            world.barrier()
            return STEPS * given.plan.images_per_step / (time.perf_counter() - began)

        found = in_turns({kind: partial(timed, kind) for kind in Slow.KINDS}, TURNS)
    none, always, seldom = (median(found[kind]) for kind in Slow.KINDS)
    return f"{none:>8.0f}{always:>11.0f} ({always / none:.2f}){seldom:>11.0f} ({seldom / none:.2f})"


class Slow:
    """Delays the steps of this rank.

    Attributes:
        kind: of ``KINDS``.
    """

    KINDS = ("none", "rank 0", "a tenth")

    def __init__(self, rank: int) -> None:
        """Begin without delay."""
        self.kind = "none"
        self._rank = rank
        self._rng = np.random.default_rng(rank)

    def slowed(self, train_step: Train) -> Train:
        """Return a step that begins with the delay."""
        import tensorflow as tf

        def step(given: Given, number: tf.Tensor) -> tf.Tensor:
            seconds = tf.py_function(self._wait, [number], tf.int64)
            with tf.control_dependencies([seconds]):
                own = given._replace(samples=tf.identity(given.samples))
                return train_step(own, number + seconds)

        return step

    def _wait(self, number: int) -> int:
        """Wait, if it is time to; return 0."""
        always = self.kind == "rank 0" and self._rank == 0
        if always or (self.kind == "a tenth" and self._rng.random() < PART):
            time.sleep(DELAY)
        return 0


if __name__ == "__main__":
    main()
