"""Training from a streamed gzip file against training from memory, in one run.

    mpirun -n 2 python -m benchmarks.streaming

DCGAN on real digits of 28x28, batch 64 per rank. The pool is small, so that each turn reads and
decompresses as many samples as it uses.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import h5py

from benchmarks.data import many_digits
from hpcgan.data.placement import opened_shards
from hpcgan.devices import prepare_tensorflow
from hpcgan.training.plan import prepare
from hpcgan.world import World

STEPS_PER_CALL = 10
CALLS = 5
REPEATS = 5
POOL = ["--data.shuffle=chunks", "--data.shuffle_chunks=1"]


def main() -> None:
    """Measure on all ranks, print on rank 0."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    world = World()
    prepare_tensorflow(world)
    with ExitStack() as stack:
        made = tempfile.mkdtemp() if world.is_root else ""
        directory = Path(world.broadcast_json(made))
        path = directory / "digits.h5"
        world.on_root(lambda: write(path))
        ways = training(world, path, stack)
        turns = [{name: turn() for name, turn in ways.items()} for _ in range(REPEATS + 1)][1:]
        found = {name: median(turn[name] for turn in turns) for name in ways}
        world.barrier()
    if world.is_root:
        path.unlink()
        directory.rmdir()
        print(f"DCGAN 28x28, batch 64 per rank, {world.size} ranks; medians of {REPEATS} turns")
        for name, rate in found.items():
            print(f"  {name:<10}{rate:>8.2f} steps/s{rate / found['memory']:>8.3f} of memory")


def write(path: Path) -> None:
    """Write the digits with gzip."""
    with h5py.File(path, "w") as file:
        images = many_digits()
        file.create_dataset("images", data=images, chunks=(64, 28, 28, 1), compression="gzip")


def training(world: World, path: Path, stack: ExitStack) -> dict[str, Callable[[], float]]:
    """Return what trains for a turn and returns steps per second, from memory and streamed.

    All ranks must call it, and then what it returns, in the same order.
    """
    from hpcgan.gan.state import State
    from hpcgan.parallel import synchronous
    from hpcgan.training.callback import Call, Callback
    from hpcgan.training.timer import Timer
    from hpcgan.training.trainer import Trainer

    class CallEnds(Callback):
        """When each call ended."""

        def __init__(self) -> None:
            self.times: list[float] = []

        def after_call(self, call: Call) -> None:
            self.times.append(time.perf_counter())

    def trainer(residency: str) -> Callable[[], float]:
        words = [f"--data.files=[{path}]", "--model.name=dcgan", "--train.batch_size=64"]
        words += [f"--data.residency={residency}", *POOL]
        plan = prepare(world, "digits", words, path.with_name(residency), "never")
        shards = stack.enter_context(
            opened_shards(world, plan.config, plan.source, plan.assignment)
        )
        state = State(plan.config, plan.source.sample_shape)
        strategy = synchronous.over_ring(
            world, plan.config, state, plan.source.dtype, plan.assignment.hosted
        )
        ends = CallEnds()
        trainer = Trainer(world, plan, state, strategy, shards, Timer(), [ends])

        def turn() -> float:
            ends.times.clear()
            trainer.fit(state.step + CALLS * STEPS_PER_CALL, most=STEPS_PER_CALL)
            # The first call waits for samples that nothing could read ahead.
            return (CALLS - 1) * STEPS_PER_CALL / (ends.times[-1] - ends.times[0])

        return turn

    return {name: trainer(name) for name in ("memory", "stream")}


if __name__ == "__main__":
    main()
