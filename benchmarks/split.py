"""What it costs to measure where a step's time goes: with it against without, in one run.

    mpirun -n 2 python -m benchmarks.split [mlp] [dcgan]

Networks of 28x28 on real digits, batch 64 a rank, a line of the journal every 50 steps, as is the
default: with the marks in the compiled update, the stopwatch, and the gathering from all ranks as
in a run; and without any of it. Each turn ends when all ranks have made it.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks.checkpointing import write
from hpcgan.data.placement import opened_shards
from hpcgan.devices import prepare_tensorflow
from hpcgan.training.plan import Plan, prepare
from hpcgan.world import World

# Steps of the calls of a line, as training chooses them.
CALLS = {"mlp": [50], "dcgan": [6] * 8 + [2]}
LINES_A_TURN = {"mlp": 4, "dcgan": 1}
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
            lines = [CALLS[model]] * LINES_A_TURN[model]
            without, measured = turns(world, plan, lines, stack)
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
        steps = sum(CALLS[model]) * LINES_A_TURN[model]
        print(
            f"{model} 28x28, batch 64 a rank, {world.size} ranks: a step takes "
            f"{1e6 * median(without for without, _ in pairs) / steps:.0f} us; measured / not "
            f"measured {median(ratios):.4f} (95 %: {low:.4f} to {high:.4f}; {len(ratios)} pairs)",
            flush=True,
        )


def turns(world: World, plan: Plan, lines: list[list[int]], stack: ExitStack) -> tuple[Turn, Turn]:
    """Return what makes a turn without and with measuring, and returns its seconds.

    All ranks must call it, and then what it returns, in the same order.

    Args:
        world: the ranks.
        plan: what is trained.
        lines: the steps of each call, for each line of the journal in a turn.
        stack: closes the data.
    """
    from hpcgan.data.prefetcher import Prefetcher
    from hpcgan.gan.state import State
    from hpcgan.parallel import synchronous
    from hpcgan.parallel.marks import Marks
    from hpcgan.training.split import Splits
    from hpcgan.training.stopwatch import Stopwatch

    state = State(plan.config, plan.source.sample_shape)
    hosted, dtype = plan.assignment.hosted, plan.source.dtype
    marks = Marks()
    plain = synchronous.make_update(world, plan.config, state, dtype, hosted)
    marked = synchronous.make_update(world, plan.config, state, dtype, hosted, marks)
    stopwatch = Stopwatch(marks)
    splits = Splits(world, stopwatch)
    shards = stack.enter_context(opened_shards(world, plan.config, plan.source, plan.assignment))
    feed = Prefetcher(
        shards.values(), plan.config.train.batch_size, plan.source.sample_shape, dtype
    )
    batches = feed.batches(spans(itertools.chain.from_iterable(lines)))

    def without() -> float:
        world.barrier()
        began = time.perf_counter()
        for steps in itertools.chain.from_iterable(lines):
            plain.run(next(batches), state.step).losses.numpy()
            state.step += steps
        world.barrier()
        return time.perf_counter() - began

    def measured() -> float:
        world.barrier()
        began = time.perf_counter()
        for line in lines:
            for steps in line:
                with stopwatch.doing("input", state.step):
                    batch = next(batches)
                with stopwatch.updating(state.step, steps):
                    marked.run(batch, state.step).losses.numpy()
                state.step += steps
            splits.at_line()
        world.barrier()
        return time.perf_counter() - began

    return without, measured


def spans(lengths: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield (first step, steps) of calls of such lengths, over and over."""
    first = 0
    for steps in itertools.cycle(lengths):
        yield first, steps
        first += steps


if __name__ == "__main__":
    main()
