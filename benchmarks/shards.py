"""What it costs to host many shards: 4 and 16 of them on one rank against one of the same batch.

    python -m benchmarks.shards [mlp] [dcgan]

Networks of 28x28, 64 images per step in all, on one core as with one core per rank. Each turn makes
some steps of each way, one after the other; the ratio is of images per second, with the 95 %
interval of its median over the turns.
"""

from __future__ import annotations

import argparse
import os
from statistics import median

from benchmarks.measure import STEPS_PER_CALL, NoiseTraining, in_turns, median_interval
from hpcgan.devices import prepare_tensorflow
from hpcgan.world import World

IMAGES = 64
SHARDS = (1, 4, 16)
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
    ways = {
        shards: NoiseTraining(model, shards, range(shards), batch_size=IMAGES // shards)
        for shards in SHARDS
    }
    found = in_turns({shards: way.seconds for shards, way in ways.items()}, TURNS[model])
    alone = median(found[1]) / STEPS_PER_CALL[model]
    print(
        f"{model} 28x28, {IMAGES} images per step: a step of one shard takes {1e3 * alone:.2f} ms"
    )
    for shards in SHARDS[1:]:
        pairs = zip(found[1], found[shards], strict=True)
        ratio, low, high = median_interval([one / many for one, many in pairs])
        print(
            f"  {shards} shards of {IMAGES // shards}, {ways[shards].strategy.together} at a time: "
            f"{ratio:.3f} of its images per second (95 %: {low:.3f} to {high:.3f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
