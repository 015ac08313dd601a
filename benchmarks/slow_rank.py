"""What a slow rank costs each way of training: images per second, with and without it.

    mpirun -n 2 --bind-to core python -m benchmarks.slow_rank [--width 64]
    mpirun -n 4 --oversubscribe python -m benchmarks.slow_rank --width 16

The DCGAN of 28x28, 64 real digits per shard, a shard per rank. In each of its steps rank 0 waits
50 ms longer than it computes; or each rank does so in a tenth of its steps, drawn at random. At
last a population of two members per rank with a slow rank 0, whose members are given to other ranks
after the first round; and without a slow one.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from unittest.mock import patch

import numpy as np

from benchmarks.measure import STEPS_PER_CALL, in_turns, shared_run
from hpcgan.devices import prepare_tensorflow
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
ROUNDS = 5

Train = Callable[["Given", "tf.Tensor"], "tf.Tensor"]


def main() -> None:
    """Measure on all ranks, print on rank 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=64, help="of the DCGAN (default: 64)")
    width = f"--model.width={parser.parse_args().width}"
    world = World()
    prepare_tensorflow(world)
    from hpcgan.ring import Ring

    # Horovod starts once, with the groups of every division that split may choose.
    Ring(world, [world.split(int(world.rank >= first)) for first in range(1, world.size)])
    with shared_run(world) as (directory, config):
        if world.is_root:
            print(f"{world.size} ranks, DCGAN 28x28, images/s (part of those of no slow rank)")
            print(f"{'':<22}{'none':>8}{'rank 0 always':>18}{'each in a tenth':>18}")
        for name, words in WAYS.items():
            options = [width, *(each.replace("WORLD", str(world.size)) for each in words)]
            line = measure(world, config, options, directory)
            if world.is_root:
                print(f"{name:<22}{line}", flush=True)
        found = {
            kind: population(world, config, [width], kind, directory) for kind in Slow.KINDS[:2]
        }
        if world.is_root:
            print(f"population of {2 * world.size}, images/s in its rounds, the first compiled:")
            for kind, of_rounds in found.items():
                print(f"  slow: {kind:<8}{''.join(f'{each:>8.0f}' for each in of_rounds)}")


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


def population(
    world: World, config: str, options: list[str], kind: str, directory: Path
) -> list[float]:
    """Return on rank 0 the images per second of each round of a population.

    All ranks must call it. ``kind`` says who is slow.
    """
    from hpcgan import population_commit
    from hpcgan.parallel import loop, synchronous
    from hpcgan.training import plan
    from hpcgan.training import population as populations
    from hpcgan.training.stop import Request

    members, steps = 2 * world.size, STEPS * ROUNDS
    words = [f"--parallel.population={members}", f"--train.steps={steps}"]
    words += [f"--tournament.every={STEPS}", "--tournament.samples=256", "--log.every_steps=1000"]
    words += ["--evaluate.every_steps=null", "--checkpoint.every_steps=null"]
    decided, run_dir = plan.configure(world, config, [*options, *words], directory / kind)
    slow, times = Slow(world.rank), [time.perf_counter()]
    slow.kind = kind
    of_loop, write = loop.over_steps, population_commit.write

    def over_steps(train_step: Train, *others: object, **more: object) -> tf.Tensor:
        return of_loop(slow.slowed(train_step), *others, **more)

    def noted(*words: object) -> None:
        write(*words)
        times.append(time.perf_counter())

    with (
        patch.object(synchronous, "over_steps", over_steps),
        patch.object(population_commit, "write", noted),
        redirect_stdout(sys.stderr),
    ):
        populations.train(world, decided, run_dir, "never", False, Request(None, {}))
    images = members * STEPS * decided.train.batch_size
    return [images / (b - a) for a, b in pairwise(times[1:])]


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
