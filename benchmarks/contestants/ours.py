"""Our training step, on ranks that never talk, and then on the same ranks when they do.

    mpirun -n 2 python -m benchmarks.contestants.ours mlp|dcgan SECONDS

One after the other: Horovod, once started, cannot be ended, and ranks beside it are not alone.
"""

from __future__ import annotations

import sys
import time
from statistics import median

from benchmarks.measure import STEPS_PER_CALL, NoiseTraining
from hpcgan.devices import prepare_tensorflow
from hpcgan.ring import Ring
from hpcgan.world import World

SEGMENTS = 5


def main() -> None:
    """Measure on all ranks; rank 0 prints "talking never-talking" in steps per second."""
    world = World()
    prepare_tensorflow(world)
    model, seconds = sys.argv[1], float(sys.argv[2]) / SEGMENTS
    hosted = range(world.rank, world.rank + 1)
    alone = rate(world, NoiseTraining(model, 1, hosted), seconds)
    all_reduce = Ring(world).all_reduce()
    talking = rate(world, NoiseTraining(model, world.size, hosted, all_reduce), seconds)
    if world.is_root:
        print(*(f"{each * STEPS_PER_CALL[model]:.3f}" for each in (talking, alone)))


def rate(world: World, training: NoiseTraining, seconds: float) -> float:
    """Return calls per second: the median of segments that all ranks begin together."""
    training.call()
    training.call()
    calls = world.broadcast_json(max(1, round(seconds / training.seconds())))
    rates = []
    for _ in range(SEGMENTS):
        world.barrier()
        began = time.perf_counter()
        for _ in range(calls):
            training.call()
        slowest = max(world.gather_json(time.perf_counter() - began))
        rates.append(calls / slowest)
    return median(rates)


if __name__ == "__main__":
    main()
