"""What it costs to measure where a step's time goes: with it against without, in one run.

    mpirun -n 2 python -m benchmarks.split [mlp] [dcgan]

Networks of 28x28 on real digits, batch 64 a rank, a line of the journal every 50 steps, as is the
default: with the marks in the compiled update, the stopwatch, and the gathering from all ranks as
in a run; and without any of it. Each turn ends when all ranks have made it.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks.checkpointing import write
from hpcgan.data.residency import opened_shards
from hpcgan.devices import prepare_tensorflow
from hpcgan.training.plan import Plan, prepare
from hpcgan.world import World

STEPS_A_CALL = 10
CALLS_A_LINE = 5
LINES_A_TURN = {"mlp": 4, "dcgan": 1}
PAIRS = {"mlp": 80, "dcgan": 10}

Turn = Callable[[], float]


def main() -> None:
    """Measure on all ranks, print on rank 0."""
    world = World()
    prepare_tensorflow(world)
    with tempfile.TemporaryDirectory() as own, ExitStack() as stack:
        directory = Path(world.broadcast_json(own))
        world.on_root(lambda: write(directory))
        for model in sys.argv[1:] or PAIRS:
            words = [f"--model.name={model}"]
            run_dir = directory / model
            plan = prepare(world, str(directory / "config.yaml"), words, run_dir, "never")
            without, measured = turns(world, plan, LINES_A_TURN[model], stack)
            pairs = []
            for number in range(PAIRS[model] + 2):
                if number % 2:  # which of them comes first must not matter
                    pair = (without(), measured())
                else:
                    second, first = measured(), without()
                    pair = (first, second)
                pairs.append(pair)
            tell(world, model, pairs[2:])
        world.barrier()


def tell(world: World, model: str, pairs: list[tuple[float, float]]) -> None:
    """Print the ratio, with the 95 % interval of the median."""
    ratios = sorted(measured / without for without, measured in pairs)
    reach = round(0.98 * len(ratios) ** 0.5)
    low, high = (ratios[len(ratios) // 2 + side * reach] for side in (-1, 1))
    if world.is_root:
        steps = STEPS_A_CALL * CALLS_A_LINE * LINES_A_TURN[model]
        print(
            f"{model} 28x28, batch 64 a rank, {world.size} ranks: a step takes "
            f"{1e6 * median(without for without, _ in pairs) / steps:.0f} us; measured / not "
            f"measured {median(ratios):.4f} (95 %: {low:.4f} to {high:.4f}; {len(ratios)} pairs)",
            flush=True,
        )


def turns(world: World, plan: Plan, lines: int, stack: ExitStack) -> tuple[Turn, Turn]:
    """Return what makes a turn without and with measuring, and returns its seconds.

    All ranks must call it, and then what it returns, in the same order.
    """
    from hpcgan.data.feed import Feed
    from hpcgan.gan.state import State
    from hpcgan.parallel import synchronous
    from hpcgan.parallel.marks import Marks
    from hpcgan.training.split import Splits
    from hpcgan.training.stopwatch import Stopwatch

    state = State(plan.config, plan.source.sample_shape)
    hosted, dtype = plan.division.hosted, plan.source.dtype
    marks = Marks()
    plain = synchronous.make_update(world, plan.config, state, dtype, hosted)
    marked = synchronous.make_update(world, plan.config, state, dtype, hosted, marks)
    stopwatch = Stopwatch(marks)
    splits = Splits(world, stopwatch)
    shards = stack.enter_context(opened_shards(world, plan.config, plan.source, plan.division))
    feed = Feed(shards.values(), plan.config.train.batch_size, plan.source.sample_shape, dtype)
    batches = feed.batches((first, STEPS_A_CALL) for first in itertools.count(0, STEPS_A_CALL))

    def without() -> float:
        world.barrier()
        began = time.perf_counter()
        for _ in range(lines * CALLS_A_LINE):
            plain.run(next(batches), state.step).losses.numpy()
            state.step += STEPS_A_CALL
        world.barrier()
        return time.perf_counter() - began

    def measured() -> float:
        world.barrier()
        began = time.perf_counter()
        for call in range(lines * CALLS_A_LINE):
            with stopwatch.doing("input", state.step):
                batch = next(batches)
            with stopwatch.updating(state.step, STEPS_A_CALL):
                marked.run(batch, state.step).losses.numpy()
            state.step += STEPS_A_CALL
            if (call + 1) % CALLS_A_LINE == 0:
                splits.at_line()
        world.barrier()
        return time.perf_counter() - began

    return without, measured


if __name__ == "__main__":
    main()
