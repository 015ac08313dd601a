"""What checkpoints cost the training: one every 100 steps against none, in one run.

    mpirun -n 2 python -m benchmarks.checkpointing

DCGAN on real digits of 28x28, batch 64 per rank. Turns of 10 steps are made without and with a
checkpoint at their beginning, which is written to the temporary directory while the steps are made
and whose end the turn waits for. The difference is what a checkpoint costs, printed as a part of
the time of 100 steps: in turns of 100 steps it would drown in the noise of the machine.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from statistics import median
from typing import NamedTuple

from benchmarks.measure import in_turns, median_interval, shared_run
from hpcgan.scaling.calls import Given, opened
from hpcgan.training.timer import Timer
from hpcgan.world import World

EVERY_STEPS = 100
STEPS_PER_TURN = 10
PAIRS = 60


class Turn(NamedTuple):
    """What was measured in a turn."""

    seconds: float  # of all of it
    still: float  # in the checkpoint manager before the first step


def main() -> None:
    """Measure on all ranks, print on rank 0."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    world = World()
    with (
        shared_run(world) as (directory, config),
        opened(world, config, [], directory / "run") as given,
    ):
        world.on_root(given.plan.run_dir.mkdir)
        without, saving = turns(given)
        if world.is_root:
            newest = max(given.plan.checkpoints.glob("step_*.h5"))
            report(world.size, newest.stat().st_size, without, saving)


def report(ranks: int, size: int, without: list[Turn], saving: list[Turn]) -> None:
    """Print what a checkpoint of ``size`` bytes costs."""
    whole = median(turn.seconds for turn in without) / STEPS_PER_TURN * EVERY_STEPS
    pairs = zip(without, saving, strict=True)
    extra, low, high = median_interval([more.seconds - less.seconds for less, more in pairs])
    still = median(turn.still for turn in saving)
    print(
        f"DCGAN 28x28, batch 64 per rank, {ranks} ranks; a checkpoint of "
        f"{size / 2**20:.1f} MiB every {EVERY_STEPS} steps; medians of {PAIRS} pairs of turns\n"
        f"  {EVERY_STEPS} steps take {whole:.2f} s\n"
        f"  the training stands still for {1000 * still:.1f} ms, {still / whole:.2%} of it\n"
        f"  turns take {1000 * extra:.0f} ms more, {extra / whole:.2%} of it "
        f"(95 %: {low / whole:.2%} to {high / whole:.2%})"
    )


def turns(given: Given) -> tuple[list[Turn], list[Turn]]:
    """Return what turns without and with a checkpoint took. All ranks must call it."""
    from hpcgan.training.checkpoint_manager import CheckpointManager

    world, state = given.world, given.state
    trainer = given.trainer(given.over_ring(), Timer())
    manager = CheckpointManager(given.plan, state) if world.is_root else None

    def turn(saves: bool) -> Turn:
        world.barrier()
        began = time.perf_counter()
        if manager and (paths := manager.wanted(saves)):
            manager.save(paths)
        still = time.perf_counter() - began
        trainer.fit(state.step + STEPS_PER_TURN, most=STEPS_PER_TURN)
        if manager:
            manager.wait()
        return Turn(time.perf_counter() - began, still)

    found = in_turns({saves: partial(turn, saves) for saves in (False, True)}, PAIRS)
    return found[False], found[True]


if __name__ == "__main__":
    main()
