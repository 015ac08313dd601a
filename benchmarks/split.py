"""What it costs to measure where a step's time goes: with it against without, in one run.

    mpirun -n 2 python -m benchmarks.split [mlp] [dcgan]

Networks of 28x28 on real digits, batch 64 per rank, a line of the log every 50 steps, as is the
default: with the collective timer in the compiled steps and the step breakdown of all ranks at the
lines; and without them. Each turn ends when all ranks have made it.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from statistics import median

from benchmarks.measure import STEPS_PER_CALL, in_turns, median_interval, shared_run
from hpcgan.scaling.calls import Given, opened
from hpcgan.world import World

STEPS_PER_TURN = {"mlp": 200, "dcgan": 50}
PAIRS = {"mlp": 80, "dcgan": 10}


def main() -> None:
    """Measure on all ranks, print on rank 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", metavar="|".join(PAIRS))
    models = parser.parse_args().models or PAIRS
    world = World()
    with shared_run(world) as (directory, config):
        for model in models:
            with opened(world, config, [f"--model.name={model}"], directory / model) as given:
                measure(given, model)


def measure(given: Given, model: str) -> None:
    """Print the ratio of turns with and without measuring. All ranks must call it."""
    from hpcgan.parallel.timer import CollectiveTimer
    from hpcgan.training.callback import Callback
    from hpcgan.training.callbacks import Logging
    from hpcgan.training.timer import Timer
    from hpcgan.training.trainer import Trainer

    world, plan, steps = given.world, given.plan, STEPS_PER_TURN[model]

    class Lines(Callback):
        """Ends the calls where ``Logging`` does."""

        periods = (plan.config.log.every_steps,)

    def trainer(collectives: CollectiveTimer | None) -> Trainer:
        timer = Timer(collectives)
        callback = Logging(world, plan, timer, None) if collectives else Lines()
        return given.trainer(given.over_ring(collectives), timer, [callback])

    def timed(trainer: Trainer) -> float:
        world.barrier()
        began = time.perf_counter()
        trainer.fit(given.state.step + steps, most=STEPS_PER_CALL[model])
        world.barrier()
        return time.perf_counter() - began

    ways = {"without": trainer(None), "measured": trainer(CollectiveTimer())}
    found = in_turns({name: partial(timed, way) for name, way in ways.items()}, PAIRS[model])
    pairs = zip(found["without"], found["measured"], strict=True)
    ratio, low, high = median_interval([measured / without for without, measured in pairs])
    if world.is_root:
        print(
            f"{model} 28x28, batch 64 per rank, {world.size} ranks: a step takes "
            f"{1e6 * median(found['without']) / steps:.0f} us; measured / not "
            f"measured {ratio:.4f} (95 %: {low:.4f} to {high:.4f}; {PAIRS[model]} pairs)",
            flush=True,
        )


if __name__ == "__main__":
    main()
