"""What checkpoints cost the training: one every 100 steps against none, in one run.

    mpirun -n 2 python -m benchmarks.checkpointing

DCGAN on real digits of 28x28, batch 64 per rank. Turns of 10 steps are made without and with a
checkpoint at their beginning, which is written to the temporary directory while the steps are made
and whose end the turn waits for. The difference is what a checkpoint costs, printed as a part of
the time of 100 steps: in turns of 100 steps it would drown in the noise of the machine.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import h5py

from benchmarks.data import many_digits
from hpcgan.data.placement import opened_shards
from hpcgan.devices import prepare_tensorflow
from hpcgan.training.plan import Plan, prepare
from hpcgan.world import World

EVERY_STEPS = 100
STEPS_PER_TURN = 10
PAIRS = 60


@dataclass(frozen=True)
class Turn:
    """What was measured in a turn.

    Attributes:
        seconds: of all of it.
        still: seconds in the checkpoint manager before the first step.
    """

    seconds: float
    still: float


def main() -> None:
    """Measure on all ranks, print on rank 0."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    world = World()
    prepare_tensorflow(world)
    with tempfile.TemporaryDirectory() as own, ExitStack() as stack:
        directory = Path(world.broadcast_json(own))
        world.on_root(lambda: write(directory))
        config = str(directory / "config.yaml")
        plan = prepare(world, config, [], directory / "run", "never")
        world.on_root(plan.run_dir.mkdir)
        turn = turns(world, plan, stack)
        pairs = [(turn(False), turn(True)) for _ in range(PAIRS + 1)][1:]
        size = world.on_root(lambda: newest_bytes(plan.checkpoints))
        world.barrier()
    if world.is_root:
        print(
            f"DCGAN 28x28, batch 64 per rank, {world.size} ranks; a checkpoint of "
            f"{size / 2**20:.1f} MiB every {EVERY_STEPS} steps; medians of {PAIRS} pairs of turns"
        )
        report(pairs)


def report(pairs: list[tuple[Turn, Turn]]) -> None:
    """Print what a checkpoint costs, with the 95 % interval of the median."""
    whole = median(without.seconds for without, _ in pairs) / STEPS_PER_TURN * EVERY_STEPS
    extra = sorted(saving.seconds - without.seconds for without, saving in pairs)
    reach = round(0.98 * len(extra) ** 0.5)
    low, high = extra[len(extra) // 2 - reach], extra[len(extra) // 2 + reach]
    still = median(saving.still for _, saving in pairs)
    print(f"  {EVERY_STEPS} steps take {whole:.2f} s")
    print(f"  the training stands still for {1000 * still:.1f} ms, {still / whole:.2%} of it")
    print(
        f"  turns take {1000 * median(extra):.0f} ms more, {median(extra) / whole:.2%} of it "
        f"(95 %: {low / whole:.2%} to {high / whole:.2%})"
    )


def write(directory: Path) -> None:
    """Write the digits and the run's configuration."""
    with h5py.File(directory / "digits.h5", "w") as file:
        file["images"] = many_digits()
    (directory / "config.yaml").write_text(
        f"data: {{files: [{directory / 'digits.h5'}], residency: memory}}\nmodel: {{name: dcgan}}\n"
        "train: {steps: 1000000, batch_size: 64}\n",
        encoding="utf-8",
    )


def newest_bytes(checkpoints: Path) -> int:
    """Return the size of the newest checkpoint."""
    return max(checkpoints.glob("step_*.h5")).stat().st_size


def turns(world: World, plan: Plan, stack: ExitStack) -> Callable[[bool], Turn]:
    """Return what makes a turn, without or with a checkpoint.

    All ranks must call it, and then what it returns, equally often.
    """
    from hpcgan.gan.state import State
    from hpcgan.parallel import synchronous
    from hpcgan.training.checkpoint_manager import CheckpointManager
    from hpcgan.training.timer import Timer
    from hpcgan.training.trainer import Trainer

    state = State(plan.config, plan.source.sample_shape)
    hosted, dtype = plan.assignment.hosted, plan.source.dtype
    strategy = synchronous.over_ring(world, plan.config, state, dtype, hosted)
    shards = stack.enter_context(opened_shards(world, plan.config, plan.source, plan.assignment))
    trainer = Trainer(world, plan, state, strategy, shards, Timer())
    manager = CheckpointManager(plan, state) if world.is_root else None

    def turn(saves: bool) -> Turn:
        world.barrier()
        began = time.perf_counter()
        if manager:
            manager.maybe_save(saves)
        still = time.perf_counter() - began
        trainer.fit(state.step + STEPS_PER_TURN, most=STEPS_PER_TURN)
        if manager:
            manager.wait()
        return Turn(time.perf_counter() - began, still)

    return turn


if __name__ == "__main__":
    main()
