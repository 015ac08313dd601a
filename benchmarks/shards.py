"""What it costs to host many shards: 4 and 16 of them on one rank against one of the same batch.

    python -m benchmarks.shards [mlp] [dcgan]

Networks of 28x28, 64 images per step in all, on one core as with one core per rank. Each turn makes
some steps of each way, one after the other; the ratio is of images per second, with the 95 %
interval of its median over the turns.
"""

from __future__ import annotations

import argparse
import os
import time
from statistics import median

import numpy as np
from scipy.stats import binom

from hpcgan.all_reduce import identity
from hpcgan.config import Config, DataConfig, ModelConfig, TrainConfig
from hpcgan.devices import prepare_tensorflow
from hpcgan.world import World

IMAGES = 64
SHARDS = (1, 4, 16)
STEPS_PER_CALL = {"mlp": 100, "dcgan": 6}
TURNS = {"mlp": 40, "dcgan": 20}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", metavar="|".join(TURNS))
    models = parser.parse_args().models or list(TURNS)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    prepare_tensorflow(World())
    for model in models:
        measure(model)


def measure(model: str) -> None:
    """Print the ratios of a model."""
    ways = {shards: Way(model, shards) for shards in SHARDS}
    turns = []
    for number in range(TURNS[model] + 1):
        # Which comes first must not matter.
        order = sorted(SHARDS, reverse=number % 2 == 1)
        seconds = {shards: ways[shards].seconds() for shards in order}
        turns.append(seconds)
    turns = turns[1:]
    alone = median(turn[1] for turn in turns) / STEPS_PER_CALL[model]
    print(
        f"{model} 28x28, {IMAGES} images per step: a step of one shard takes {1e3 * alone:.2f} ms"
    )
    for shards in SHARDS[1:]:
        ratios = sorted(turn[1] / turn[shards] for turn in turns)
        low, high = (ratios[int(binom.ppf(q, len(ratios), 0.5))] for q in (0.025, 0.975))
        print(
            f"  {shards} shards of {IMAGES // shards}, {ways[shards].together} at a time: "
            f"{median(ratios):.3f} of its images per second (95 %: {low:.3f} to {high:.3f})",
            flush=True,
        )


class Way:
    """One rank that hosts all shards, compiled."""

    def __init__(self, model: str, shards: int) -> None:
        import tensorflow as tf

        from hpcgan.gan.state import State
        from hpcgan.parallel.synchronous import Synchronous

        config = Config(
            data=DataConfig(files=[], shards=shards),
            model=ModelConfig(model),  # type: ignore[arg-type]
            train=TrainConfig(batch_size=IMAGES // shards),
        )
        state = State(config, (28, 28, 1))
        strategy = Synchronous(config, state, "uint8", range(shards), identity)
        shape = (STEPS_PER_CALL[model], shards, IMAGES // shards, 28, 28, 1)
        samples = tf.constant(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
        first = tf.constant(0, tf.int64)
        self.together = strategy.together
        self._call = lambda: strategy.run(samples, first).losses.numpy()
        self._call()

    def seconds(self) -> float:
        """Make a call and return the seconds that it took."""
        began = time.perf_counter()
        self._call()
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
