"""Groups of ranks beside each other, and what an all-to-all with unequal parts costs.

    mpirun -n 4 --oversubscribe python -m benchmarks.groups

Two groups of two ranks train an mlp each (28x28, batch 64 per rank), each with an all-reduce of its
own in the compiled steps. Group 1 is timed while group 0 waits, and while group 0 sleeps 200 ms
after each of its steps: if it held group 1 up, that would show. Turns of both alternate. Then all
ranks exchange 1 MiB each in a compiled loop: by an all-reduce, by an all-to-all in equal parts, and
in parts of which the first rank gets three quarters.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from statistics import median

from benchmarks.measure import STEPS_PER_CALL, NoiseTraining, in_turns
from hpcgan.devices import prepare_tensorflow
from hpcgan.ring import Ring
from hpcgan.world import World

SLEEP = 0.2
CALLS, TURNS = 10, 7
BESIDE = 8  # steps of group 0 beside those of group 1
NUMBERS, EXCHANGES = 2**18, 50


def main() -> None:
    """Measure on all ranks, print on rank 0."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    world = World()
    prepare_tensorflow(world)
    group = world.split(world.rank // 2)
    ring = Ring(world, [group])
    hosted = range(group.rank, group.rank + 1)
    training = NoiseTraining("mlp", group.size, hosted, ring.all_reduce(group))
    training.call()
    ways = {sleeps: partial(pace, world, training, sleeps) for sleeps in (False, True)}
    found = in_turns(ways, TURNS)
    if world.is_root:
        pairs = zip(found[False], found[True], strict=True)
        ratio = median(beside / alone for alone, beside in pairs)
        alone = median(found[False])
        print(
            f"group 1: a step takes {1e6 * alone:.0f} us alone, and {ratio:.3f} times as long "
            f"beside a group that sleeps {1e3 * SLEEP:.0f} ms per step",
            flush=True,
        )
    exchanges(world, ring)


def pace(world: World, training: NoiseTraining, sleeps: bool) -> float:
    """Return the seconds of a step of group 1, while group 0 waits or sleeps after each step.

    All ranks must call it. Group 0 makes as many steps as it has time for, at least one.
    """
    world.barrier()
    began = time.perf_counter()
    if world.rank // 2:
        for _ in range(CALLS):
            training.call()
        seconds = time.perf_counter() - began
    else:
        # The same number on both ranks of the group, whatever they measure.
        for _ in range(BESIDE if sleeps else 0):
            training.call(1)
            time.sleep(SLEEP)
        seconds = 0.0
    world.wait_asleep()
    return max(world.gather_json(seconds)) / (CALLS * STEPS_PER_CALL["mlp"])


def exchanges(world: World, ring: Ring) -> None:
    """Print how long exchanges in a compiled loop take. All ranks must call it."""
    import horovod.tensorflow as hvd
    import tensorflow as tf

    size = world.size
    rest = NUMBERS // 4 // (size - 1)
    uneven = [NUMBERS - rest * (size - 1), *[rest] * (size - 1)]
    reduce_all = ring.all_reduce()
    ways = {
        "all-reduce": reduce_all,
        "all-to-all, equal parts": lambda x: to_all(x, [NUMBERS // size] * size, "equal"),
        "all-to-all, unequal parts": lambda x: to_all(x, uneven, "unequal"),
    }

    def to_all(vector: tf.Tensor, parts: list[int], name: str) -> tf.Tensor:
        arrived, _ = hvd.alltoall(vector, splits=tf.constant(parts), name=name)
        # The next one must wait for this one, as in a step.
        return vector + 0.0 * tf.reduce_sum(arrived[:1])

    own = tf.ones([NUMBERS])
    for name, way in ways.items():

        @tf.function(autograph=False)
        def loop(start: tf.Tensor, way: Callable[[tf.Tensor], tf.Tensor] = way) -> tf.Tensor:
            def again(i: tf.Tensor, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                return i + 1, tf.ensure_shape(way(x), [NUMBERS])

            return tf.while_loop(lambda i, _: i < EXCHANGES, again, (0, start))[1]

        loop(own)
        seconds = []
        for _ in range(TURNS):
            world.barrier()
            began = time.perf_counter()
            loop(own).numpy()
            seconds.append((time.perf_counter() - began) / EXCHANGES)
        slowest = max(world.gather_json(median(seconds)))
        if world.is_root:
            print(f"{name} of {NUMBERS * 4 / 2**20:.0f} MiB: {1e6 * slowest:.0f} us", flush=True)


if __name__ == "__main__":
    main()
