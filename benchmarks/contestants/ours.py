"""Our training step, on ranks that never talk, and then on the same ranks when they do.

    mpirun -n 2 python -m benchmarks.contestants.ours mlp|dcgan SECONDS

One after the other: Horovod, once started, cannot be ended, and ranks beside it are not alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from hpcgan.all_reduce import identity
from hpcgan.config import Config, DataConfig, ModelConfig
from hpcgan.devices import prepare_tensorflow
from hpcgan.world import World

STEPS_PER_CALL = {"mlp": 100, "dcgan": 6}  # as training chooses them where nothing is due sooner
BATCH = 64
SEGMENTS = 5


def main() -> None:
    """Measure on all ranks; rank 0 prints "talking never-talking" in steps per second."""
    world = World()
    prepare_tensorflow(world)
    seconds = float(sys.argv[2]) / SEGMENTS
    model = sys.argv[1]
    alone, talking = (
        rate(world, call_of(world, model, talks), seconds) * STEPS_PER_CALL[model]
        for talks in (False, True)
    )
    if world.is_root:
        print(f"{talking:.3f} {alone:.3f}")


def call_of(world: World, model: str, talks: bool) -> Callable[[], object]:
    """Return a call of the compiled steps, with the ring all-reduce or without any."""
    import tensorflow as tf

    from hpcgan.gan.state import State
    from hpcgan.parallel.synchronous import Synchronous, over_ring

    config = Config(
        data=DataConfig(files=[], shards=world.size if talks else 1),
        model=ModelConfig(model),  # type: ignore[arg-type]
    )
    hosted = range(world.rank, world.rank + 1)
    state = State(config, (28, 28, 1))
    if talks:
        strategy = over_ring(world, config, state, "uint8", hosted)
    else:
        strategy = Synchronous(config, state, "uint8", hosted, identity)
    shape = (STEPS_PER_CALL[model], 1, BATCH, 28, 28, 1)
    samples = tf.constant(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    first = tf.constant(0, tf.int64)
    return lambda: strategy.run(samples, first).losses.numpy()


def rate(world: World, call: Callable[[], object], seconds: float) -> float:
    """Return calls per second: the median of segments that all ranks begin together."""
    call()
    calls = world.broadcast_json(calls_in(call, seconds))
    rates = []
    for _ in range(SEGMENTS):
        world.barrier()
        began = time.perf_counter()
        for _ in range(calls):
            call()
        slowest = max(world.gather_json(time.perf_counter() - began))
        rates.append(calls / slowest)
    return float(np.median(rates))


def calls_in(call: Callable[[], object], seconds: float) -> int:
    """Return how many calls fit in so many seconds; all ranks make the same ones."""
    call()
    began = time.perf_counter()
    call()
    return max(1, round(seconds / (time.perf_counter() - began)))


if __name__ == "__main__":
    main()
