"""Our update, on ranks that talk and on the same ranks when they never talk, in turns.

mpirun -n 2 python -m benchmarks.contestants.ours mlp|dcgan SECONDS
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from hpcgan.config import Config, DataConfig, ModelConfig
from hpcgan.devices import prepare_tensorflow
from hpcgan.world import World

STEPS_A_CALL = 10
BATCH = 64
PAIRS = 5


def main() -> None:
    """Measure on all ranks; rank 0 prints "talking never-talking" in steps a second."""
    world = World()
    prepare_tensorflow(world)
    talking, alone = ways(world, sys.argv[1])
    seconds = float(sys.argv[2]) / (2 * PAIRS)
    for way in (talking, alone):
        way()
    calls = world.broadcast_json(calls_in(alone, seconds))
    found: list[list[float]] = [[], []]
    for _ in range(PAIRS):
        for rates, way in zip(found, (talking, alone), strict=True):
            world.barrier()
            began = time.perf_counter()
            for _ in range(calls):
                way()
            slowest = max(world.gather_json(time.perf_counter() - began))
            rates.append(calls * STEPS_A_CALL / slowest)
    if world.is_root:
        print(" ".join(f"{np.median(rates):.3f}" for rates in found))


def ways(world: World, model: str) -> list[Callable[[], object]]:
    """Return a call of the update with the ring exchange, and one without any."""
    import tensorflow as tf

    from hpcgan.gan.state import State
    from hpcgan.gan.update import Update
    from hpcgan.parallel import synchronous

    config = Config(
        data=DataConfig(files=[], shards=world.size),
        model=ModelConfig(model),  # type: ignore[arg-type]
    )
    hosted = range(world.rank, world.rank + 1)
    state = State(config, (28, 28, 1))
    updates = [
        synchronous.make_update(world, config, state, "uint8", hosted),
        Update(config, State(config, (28, 28, 1)), "uint8", hosted, lambda tensor: tensor),
    ]
    shape = (STEPS_A_CALL, 1, BATCH, 28, 28, 1)
    samples = tf.constant(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    first = tf.constant(0, tf.int64)
    return [lambda own=each: own.run(samples, first).losses.numpy() for each in updates]  # type: ignore[misc]


def calls_in(way: Callable[[], object], seconds: float) -> int:
    """Return how many calls fit in so many seconds."""
    began = time.perf_counter()
    way()
    return max(1, round(seconds / (time.perf_counter() - began)))


if __name__ == "__main__":
    main()
