"""Training from a streamed gzip file against training from memory, in one run.

    mpirun -n 2 python -m benchmarks.streaming

DCGAN on real digits of 28x28, batch 64 per rank. The pool is small, so that each turn reads and
decompresses as many samples as it uses.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median

from benchmarks.measure import in_turns, shared_run
from hpcgan.scaling.calls import Given, opened
from hpcgan.training.callback import Call, Callback
from hpcgan.training.timer import Timer
from hpcgan.world import World

STEPS_PER_CALL = 10
CALLS = 5
REPEATS = 5
POOL = ["--data.shuffle=chunks", "--data.shuffle_chunks=1"]


class CallEnds(Callback):
    """When each call ended."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def after_call(self, call: Call) -> None:
        """Take the time."""
        self.times.append(time.perf_counter())


def main() -> None:
    """Measure on all ranks, print on rank 0."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    world = World()
    storage = {"chunks": (64, 28, 28, 1), "compression": "gzip"}
    with shared_run(world, **storage) as (directory, config), ExitStack() as stack:
        ways = {}
        for name in ("memory", "stream"):
            words = [f"--data.residency={name}", *POOL]
            given = stack.enter_context(opened(world, config, words, directory / name))
            ways[name] = training(given)
        found = {name: median(each) for name, each in in_turns(ways, REPEATS).items()}
    if world.is_root:
        print(f"DCGAN 28x28, batch 64 per rank, {world.size} ranks; medians of {REPEATS} turns")
        for name, rate in found.items():
            print(f"  {name:<10}{rate:>8.2f} steps/s{rate / found['memory']:>8.3f} of memory")


def training(given: Given) -> Callable[[], float]:
    """Return what trains for a turn and returns steps per second. All ranks must call both."""
    ends = CallEnds()
    trainer = given.trainer(given.over_ring(), Timer(), [ends])

    def turn() -> float:
        ends.times.clear()
        trainer.fit(given.state.step + CALLS * STEPS_PER_CALL, most=STEPS_PER_CALL)
        # The first call waits for samples that nothing could read ahead.
        return (CALLS - 1) * STEPS_PER_CALL / (ends.times[-1] - ends.times[0])

    return turn


if __name__ == "__main__":
    main()
