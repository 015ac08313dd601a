"""What checkpoints cost the training: with one every 100 steps against without, in one run.

    mpirun -n 2 python -m benchmarks.checkpointing

DCGAN on real digits of 28x28, batch 64 a rank. A turn is 100 steps; with a checkpoint, it begins
with one, which is written to the disk of the temporary directory while the steps are made.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import h5py

from benchmarks.data import many_digits
from benchmarks.measure import rates
from hpcgan.data.residency import opened_shards
from hpcgan.devices import prepare_tensorflow
from hpcgan.training.plan import Plan, prepare
from hpcgan.world import World

STEPS = 100
STEPS_A_CALL = 10
REPEATS = 9


def main() -> None:
    """Measure on all ranks, print on rank 0."""
    world = World()
    prepare_tensorflow(world)
    with tempfile.TemporaryDirectory() as own, ExitStack() as stack:
        directory = Path(world.broadcast_json(own))
        world.on_root(lambda: write(directory))
        config = str(directory / "config.yaml")
        plan = prepare(world, config, [], directory / "run", "never")
        found = rates(training(world, plan, stack), REPEATS)
        size = world.on_root(lambda: newest_bytes(plan.checkpoints))
        world.barrier()
    if world.is_root:
        cost = found["without"] / found["with"] - 1
        print(
            f"DCGAN 28x28, batch 64 a rank, {world.size} ranks; a checkpoint of "
            f"{size / 2**20:.1f} MiB every {STEPS} steps; medians of {REPEATS} turns"
        )
        for name, rate in found.items():
            print(f"  {name:<10}{rate:>8.3f} steps/s")
        print(f"  checkpoints cost {cost:.2%} of the training time")


def write(directory: Path) -> None:
    """Write the digits and the run's configuration."""
    with h5py.File(directory / "digits.h5", "w") as file:
        file["images"] = many_digits()
    (directory / "config.yaml").write_text(
        f"data: {{files: [{directory / 'digits.h5'}], residency: memory}}\nmodel: {{name: dcgan}}\n"
        "train: {steps: 1000000, batch_size: 64}\n"
    )


def newest_bytes(checkpoints: Path) -> int:
    """Return the size of the newest checkpoint."""
    return max(checkpoints.glob("step_*.h5")).stat().st_size


def training(world: World, plan: Plan, stack: ExitStack) -> dict[str, Callable[[], int]]:
    """Return what makes the steps of a turn, without and with a checkpoint.

    All ranks must call it, and then what it returns, in the same order.
    """
    from hpcgan.data.feed import Feed
    from hpcgan.gan.state import State
    from hpcgan.parallel import synchronous
    from hpcgan.training.saver import Saver

    state = State(plan.config, plan.source.sample_shape)
    hosted, dtype = plan.division.hosted, plan.source.dtype
    update = synchronous.make_update(world, plan.config, state, dtype, hosted)
    shards = stack.enter_context(opened_shards(world, plan.config, plan.source, plan.division))
    feed = Feed(shards.values(), plan.config.train.batch_size, plan.source.sample_shape, dtype)
    spans = ((first, STEPS_A_CALL) for first in itertools.count(0, STEPS_A_CALL))
    batches = feed.batches(spans)
    saver = Saver(plan, state) if world.is_root else None
    if saver:
        stack.callback(saver.close)

    def make_steps(saves: bool) -> int:
        for call in range(STEPS // STEPS_A_CALL):
            if saver:
                saver.after_span(saves and call == 0)
            update.run(next(batches), state.step).losses.numpy()
            state.step += STEPS_A_CALL
        return STEPS

    return {"without": lambda: make_steps(False), "with": lambda: make_steps(True)}


if __name__ == "__main__":
    main()
