"""Time the steps of a run with the exchange and without it: one start of a scaling study.

    mpirun -n 4 python -m hpcgan.scaling.measure CONFIG.yaml OUT.json weak|strong SECONDS
        [--section.key VALUE ...]

``hpcgan scale`` starts it. All ranks train the networks of the configuration on its data, as
``hpcgan train`` does, but for checkpoints and journal: first without the exchange, each rank with
its own gradients, which is the limit; then with the ring. They take no turns, since Horovod, once
started, cannot be ended, and its thread looks for tensors on each rank's core even while nothing
is exchanged: a limit beside it would not be one. Repeats of the whole even out what else changes.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from hpcgan import command
from hpcgan.exchange import Exchange, alone
from hpcgan.files import write_whole
from hpcgan.packages import version_of
from hpcgan.scaling import calls
from hpcgan.scaling.calls import Calls
from hpcgan.scaling.runs import Run, Segment, to_json
from hpcgan.training.calls import steps_a_call
from hpcgan.world import World

if TYPE_CHECKING:
    import tensorflow as tf

    from hpcgan.gan.update import Update

# Segments of each way that count: their median stands two that something else disturbed.
_SEGMENTS = 5
# Single steps of each rank that are timed, for their variation.
_SINGLE = 20
_PACKAGES = ("hpcgan", "tensorflow", "keras", "horovod", "mpi4py", "numpy")


def main() -> int:
    """Run the program on all ranks and return its exit status."""
    return command.run("hpcgan scale", lambda: parse(sys.argv[1:]))


def parse(words: list[str]) -> argparse.Namespace:
    """Return the parsed command line, whose ``run`` is to be called by all ranks."""
    arguments = calls.parse("hpcgan.scaling.measure", "seconds", float, words)
    arguments.run = _measure
    return arguments


def _measure(world: World, arguments: argparse.Namespace) -> None:
    """Measure on all ranks and write the file on rank 0."""
    started = datetime.now(timezone.utc).isoformat(timespec="seconds")
    with calls.opened(world, arguments) as (found, config):
        bench = Bench(world, found)
        run = bench.measure(arguments.kind, config, started, arguments.seconds)
    world.on_root(lambda: write_whole(arguments.out, to_json(run).encode()))


class Bench:
    """The ways in which steps are timed.

    All ranks must make it and call its methods in the same order.
    """

    def __init__(self, world: World, found: Calls) -> None:
        """Make the limit."""
        from hpcgan.gan.update import Update

        self._world, self._calls, self._plan = world, found, found.plan
        config = found.plan.config
        self._pace = 0.0  # seconds of a step of the last way, about
        self._skipped = 0
        self._sizes: list[int] = []  # bytes of what the limit does not send in a step

        def counted(width: int) -> Exchange:
            """Return the exchange of a rank alone, which notes bytes of so many a number."""

            def keep(vector: tf.Tensor, scale: float = 1.0) -> tf.Tensor:
                self._sizes.append(width * vector.shape.num_elements())
                return alone(vector, scale)

            return keep

        halves = None if config.parallel.compression == "none" else counted(2)
        hosted, dtype = found.plan.assignment.hosted, found.plan.source.dtype
        # Each rank averages over its own shards, as if there were no others.
        own = replace(config, data=replace(config.data, shards=len(hosted)))
        self._limit = world.together(
            lambda: Update(own, found.state, dtype, hosted, counted(4), halves)
        )

    def measure(self, kind: str, config: dict[str, Any], started: str, seconds: float) -> Run:
        """Time both ways, ``seconds`` each, and return what was found; the same on all ranks."""
        from hpcgan.parallel import synchronous

        world, plan = self._world, self._plan
        limit = self._way(self._limit, seconds)
        compute = self._singles(seconds)
        # Made now that the limit is compiled: layers that talk to other ranks get the ring from it.
        ring = synchronous.make_update(
            world, plan.config, self._calls.state, plan.source.dtype, plan.assignment.hosted
        )
        exchange = self._way(ring, seconds)
        return Run(
            kind=kind,
            started=started,
            job=os.environ.get("SLURM_JOB_ID"),
            hosts=world.gather_json(world.host),
            cores=world.gather_json(world.cores),
            oversubscribed=world.shares_cores,
            config=config,
            images=plan.images_per_step,
            samples=plan.images_per_step
            // len(plan.assignment.sizes)
            * max(world.gather_json(len(plan.assignment.hosted))),
            gradient_bytes=sum(self._sizes),
            exchanges=len(self._sizes),
            exchange=exchange,
            limit=limit,
            compute_seconds=compute,
            skipped=self._skipped,
            versions={
                "python": platform.python_version(),
                **{name: version_of(name) for name in _PACKAGES},
            },
        )

    def _way(self, update: Update, seconds: float) -> list[Segment]:
        """Return what counts of a way: ``seconds`` of it, after its compilation and warm-up."""
        self._segment(update, self._calls.batches([1]), 1)
        self._pace = self._segment(update, self._calls.batches([1] * 3), 3).slowest
        steps = steps_a_call(self._pace)
        number = max(1, round(seconds / _SEGMENTS / (steps * self._pace)))
        batches = self._calls.batches([steps] * (_SEGMENTS + 1) * number)
        self._segment(update, batches, number)  # calls of so many steps come for the first time
        skipped = self._calls.skipped
        found = [self._segment(update, batches, number) for _ in range(_SEGMENTS)]
        self._skipped += self._calls.skipped - skipped
        return found

    def _segment(self, update: Update, batches: Iterator[list[tf.Tensor]], number: int) -> Segment:
        """Make calls of an update, which all ranks begin together, and time them."""
        self._world.barrier()
        began, waited, first = time.perf_counter(), 0.0, self._calls.step
        for _ in range(number):
            asked = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - asked
            self._calls.call(update, batch)
        own = (time.perf_counter() - began, waited)
        seconds, waits = zip(*self._world.gather_json(own), strict=True)
        return Segment(self._calls.step - first, list(seconds), list(waits))

    def _singles(self, seconds: float) -> list[list[float]]:
        """Return the seconds of single steps without exchange, of each rank."""
        number = min(_SINGLE, max(2, int(seconds / _SEGMENTS / self._pace)))
        found = []
        for batch in self._calls.batches([1] * number):
            began = time.perf_counter()
            self._calls.call(self._limit, batch)
            found.append(time.perf_counter() - began)
        return self._world.gather_json(found)


if __name__ == "__main__":
    sys.exit(main())
