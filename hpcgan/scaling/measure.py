"""Time the steps of a run with the exchange and without it: one start of a scaling study.

    mpirun -n 4 python -m hpcgan.scaling.measure CONFIG.yaml OUT.json weak|strong SECONDS
        [--section.key VALUE ...]

``hpcgan scale`` starts it. All ranks train the networks of the configuration on its data: first
without the exchange, each rank with its own gradients, the no-communication baseline; then with the
ring. They take no turns, since Horovod, once started, cannot be ended, and its thread looks for
tensors on each rank's core even while nothing is exchanged: a baseline beside it would be slower
than it is. Repeats of the whole even out what else changes.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hpcgan.exchange import Exchange, alone
from hpcgan.packages import version_of
from hpcgan.scaling import calls
from hpcgan.scaling.calls import Calls
from hpcgan.scaling.runs import Run, Segment
from hpcgan.training.calls import steps_a_call
from hpcgan.world import World

if TYPE_CHECKING:
    import tensorflow as tf

    from hpcgan.gan.update import Update

# Segments of each way that count: their median allows two that something else disturbed.
_SEGMENTS = 5
_SINGLE = 20  # single steps of each rank that are timed, for their variation
_PACKAGES = ("hpcgan", "tensorflow", "keras", "horovod", "mpi4py", "numpy")


def measure(world: World, found: Calls, seconds: float) -> dict[str, Any]:
    """Time both ways, ``seconds`` each; return a ``Run``'s attributes. All ranks must call it."""
    from hpcgan.parallel import synchronous

    bench, plan = Bench(world, found), found.plan
    baseline = bench.way(bench.baseline, seconds)
    compute = bench.singles(seconds)
    # Made after the baseline is compiled, since layers that talk to other ranks get the ring by it.
    ring = synchronous.make_update(
        world, plan.config, found.state, plan.source.dtype, plan.division.hosted
    )
    exchange = bench.way(ring, seconds)
    per_shard = plan.images_per_step // len(plan.division.sizes)
    return {
        "job": os.environ.get("SLURM_JOB_ID"),
        "cores": world.gather_json(world.cores),
        "oversubscribed": world.shares_cores,
        "images": plan.images_per_step,
        "samples": per_shard * max(world.gather_json(len(plan.division.hosted))),
        "gradient_bytes": sum(bench.sizes),
        "exchanges": len(bench.sizes),
        "exchange": exchange,
        "baseline": baseline,
        "compute_seconds": compute,
        "skipped": bench.skipped,
        "versions": {name: version_of(name) for name in _PACKAGES}
        | {"python": platform.python_version()},
    }


class Bench:
    """The ways in which steps are timed; all ranks must call its methods in the same order."""

    def __init__(self, world: World, found: Calls) -> None:
        """Make the update of the no-communication baseline."""
        from hpcgan.gan.update import Update

        self._world, self._calls = world, found
        config = found.plan.config
        self._pace = 0.0  # seconds of a step of the last way, about
        self.skipped = 0
        self.sizes: list[int] = []  # bytes of what the baseline does not send in a step

        def counted(width: int) -> Exchange:
            """Return the exchange of a rank alone, which notes its bytes, ``width`` per number."""

            def keep(vector: tf.Tensor, scale: float = 1.0) -> tf.Tensor:
                self.sizes.append(width * vector.shape.num_elements())
                return alone(vector, scale)

            return keep

        halves = None if config.parallel.compression == "none" else counted(2)
        hosted, dtype = found.plan.division.hosted, found.plan.source.dtype
        # Each rank averages over its own shards, as if there were no others.
        own = replace(config, data=replace(config.data, shards=len(hosted)))
        self.baseline = world.together(
            lambda: Update(own, found.state, dtype, hosted, counted(4), halves)
        )

    def way(self, update: Update, seconds: float) -> list[Segment]:
        """Return what counts of a way: ``seconds`` of it, after its compilation and warm-up."""
        self._segment(update, self._calls.batches([1]), 1)
        first = self._segment(update, self._calls.batches([1] * 3), 3)
        self._pace = max(first.seconds) / first.steps
        steps = steps_a_call(self._pace)
        number = max(1, round(seconds / _SEGMENTS / (steps * self._pace)))
        batches = self._calls.batches([steps] * (_SEGMENTS + 1) * number)
        self._segment(update, batches, number)  # the first calls of this length
        skipped = self._calls.skipped
        found = [self._segment(update, batches, number) for _ in range(_SEGMENTS)]
        self.skipped += self._calls.skipped - skipped
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

    def singles(self, seconds: float) -> list[list[float]]:
        """Return the seconds of single steps without exchange, of each rank."""
        number = min(_SINGLE, max(2, int(seconds / _SEGMENTS / self._pace)))
        found = []
        for batch in self._calls.batches([1] * number):
            began = time.perf_counter()
            self._calls.call(self.baseline, batch)
            found.append(time.perf_counter() - began)
        return self._world.gather_json(found)


if __name__ == "__main__":
    sys.exit(calls.main(Run, measure))
