"""What it costs to measure where a step's time goes: with it against without, in one run.

    mpirun -n 2 python -m benchmarks.split [mlp] [dcgan]

Networks of 28x28 on real digits, batch 64 per rank, a line of the log every 50 steps, as is the
default: with the collective timer in the compiled steps and the step breakdown of all ranks at the
lines; and without them. Each turn ends when all ranks have made it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.checkpointing import write
from hpcgan.data.placement import opened_shards
from hpcgan.devices import prepare_tensorflow
from hpcgan.training.plan import Plan, prepare
from hpcgan.world import World

STEPS_PER_CALL = {"mlp": 100, "dcgan": 6}  # at most, as training chooses them
STEPS_PER_TURN = {"mlp": 200, "dcgan": 50}
PAIRS = {"mlp": 80, "dcgan": 10}

Turn = Callable[[], float]


def main() -> None:
    """Measure on all ranks, print on rank 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", metavar="|".join(PAIRS))
    models = parser.parse_args().models or PAIRS
    world = World()
    prepare_tensorflow(world)
    with tempfile.TemporaryDirectory() as own, ExitStack() as stack:
        directory = Path(world.broadcast_json(own))
        world.on_root(lambda: write(directory))
        for model in models:
            words = [f"--model.name={model}"]
            run_dir = directory / model
            plan = prepare(world, str(directory / "config.yaml"), words, run_dir, "never")
            without, measured = turns(world, plan, STEPS_PER_TURN[model], stack)
            pairs = []
            for number in range(PAIRS[model] + 2):
                if number % 2:  # which of them comes first must not matter
                    pair = (without(), measured())
                else:
                    second, first = measured(), without()
                    pair = (first, second)
                pairs.append(pair)
            report(world, model, pairs[2:])
        world.barrier()


def report(world: World, model: str, pairs: list[tuple[float, float]]) -> None:
    """Print the ratio, with the 95 % interval of the median."""
    ratios = sorted(measured / without for without, measured in pairs)
    reach = round(0.98 * len(ratios) ** 0.5)
    low, high = (ratios[len(ratios) // 2 + side * reach] for side in (-1, 1))
    if world.is_root:
        step = median(without for without, _ in pairs) / STEPS_PER_TURN[model]
        print(
            f"{model} 28x28, batch 64 per rank, {world.size} ranks: a step takes "
            f"{1e6 * step:.0f} us; measured / not "
            f"measured {median(ratios):.4f} (95 %: {low:.4f} to {high:.4f}; {len(ratios)} pairs)",
            flush=True,
        )


def turns(world: World, plan: Plan, steps: int, stack: ExitStack) -> tuple[Turn, Turn]:
    """Return what makes ``steps`` steps without and with measuring, and returns the seconds.

    All ranks must call it, and then what it returns, in the same order.
    """
    from hpcgan.gan.state import State
    from hpcgan.parallel import synchronous
    from hpcgan.parallel.timer import CollectiveTimer
    from hpcgan.training.callback import Callback
    from hpcgan.training.callbacks import Logging
    from hpcgan.training.timer import Timer
    from hpcgan.training.trainer import Trainer

    class Lines(Callback):
        """Ends the calls where ``Logging`` does."""

        periods = (plan.config.log.every_steps,)

    state = State(plan.config, plan.source.sample_shape)
    shards = stack.enter_context(opened_shards(world, plan.config, plan.source, plan.assignment))

    def trainer(collectives: CollectiveTimer | None) -> Trainer:
        strategy = synchronous.over_ring(
            world, plan.config, state, plan.source.dtype, plan.assignment.hosted, collectives
        )
        timer = Timer(collectives)
        callback = Logging(world, plan, timer, None) if collectives else Lines()
        return Trainer(world, plan, state, strategy, shards, timer, [callback])

    def timed(trainer: Trainer) -> float:
        world.barrier()
        began = time.perf_counter()
        trainer.fit(state.step + steps, most=STEPS_PER_CALL[plan.config.model.name])
        world.barrier()
        return time.perf_counter() - began

    return partial(timed, trainer(None)), partial(timed, trainer(CollectiveTimer()))


if __name__ == "__main__":
    main()
