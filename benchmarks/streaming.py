"""Training from a streamed gzip file against training from memory, in one run.

    mpirun -n 2 python -m benchmarks.streaming

DCGAN on real digits of 28x28, batch 64 a rank. The pool is small, so that each turn reads and
decompresses as many samples as it uses.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import h5py

from benchmarks.data import many_digits
from benchmarks.measure import rates
from hpcgan.config import Config, DataConfig, ModelConfig
from hpcgan.data.assignment import assign_shards
from hpcgan.data.placement import opened_shards
from hpcgan.data.source import open_source
from hpcgan.devices import prepare_tensorflow
from hpcgan.world import World

STEPS_A_CALL = 10
CALLS = 4
REPEATS = 5


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
        ways = training(world, str(path), stack)
        found = rates(ways, REPEATS)
        world.barrier()
    if world.is_root:
        path.unlink()
        directory.rmdir()
        print(f"DCGAN 28x28, batch 64 a rank, {world.size} ranks; medians of {REPEATS} turns")
        for name, rate in found.items():
            print(f"  {name:<10}{rate:>8.2f} steps/s{rate / found['memory']:>8.3f} of memory")


def write(path: Path) -> None:
    """Write the digits with gzip."""
    with h5py.File(path, "w") as file:
        images = many_digits()
        file.create_dataset("images", data=images, chunks=(64, 28, 28, 1), compression="gzip")


def training(world: World, path: str, stack: ExitStack) -> dict[str, Callable[[], int]]:
    """Return what makes some steps, with the samples in memory and streamed.

    All ranks must call it, and then what it returns, in the same order.
    """
    from hpcgan.data.prefetcher import Prefetcher
    from hpcgan.gan.state import State
    from hpcgan.parallel import synchronous

    config = Config(data=DataConfig(files=[path], shards=world.size), model=ModelConfig("dcgan"))
    source = open_source(world, config.data)
    state = State(config, source.sample_shape)
    hosted = range(world.rank, world.rank + 1)
    update = synchronous.make_update(world, config, state, source.dtype, hosted)

    def batches(residency: Literal["memory", "stream"]) -> Iterator:
        data = DataConfig(
            files=[path], shards=world.size, residency=residency, shuffle="chunks", shuffle_chunks=1
        )
        resolved, assignment = assign_shards(world, Config(data=data), source, None)
        shards = stack.enter_context(opened_shards(world, resolved, source, assignment))
        feed = Prefetcher(
            shards.values(), config.train.batch_size, source.sample_shape, source.dtype
        )
        spans = ((first, STEPS_A_CALL) for first in itertools.count(0, STEPS_A_CALL))
        return feed.batches(spans)

    def steps(feed: Iterator) -> Callable[[], int]:
        def make_steps() -> int:
            for _ in range(CALLS):
                update.run(next(feed), 0).losses.numpy()
            return CALLS * STEPS_A_CALL

        return make_steps

    return {"memory": steps(batches("memory")), "stream": steps(batches("stream"))}


if __name__ == "__main__":
    main()
