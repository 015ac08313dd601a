"""Time the steps of a run with the exchange and without it: one start of a scaling study.

    mpirun -n 4 python -m hpcgan.scaling.measure CONFIG.yaml OUT.json weak|strong SECONDS
        [--section.key VALUE ...]

``hpcgan scale`` starts it. All ranks train the networks of the configuration on its data, as
``hpcgan train`` does, but for checkpoints and journal: first without the exchange, each rank with
its own gradients, which is the limit; then with the ring. They take no turns, since Horovod, once
started, cannot be ended, and its thread takes a sixth of a core from each rank even while nothing
is exchanged: a limit beside it would not be one. Repeats of the whole even out what else changes.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpcgan import command
from hpcgan.config_file import load
from hpcgan.data.residency import Shard, label_shards, opened_shards
from hpcgan.devices import prepare_tensorflow
from hpcgan.files import write_whole
from hpcgan.gan.conditions import as_input
from hpcgan.scaling.runs import Run, Segment, to_json, versions
from hpcgan.training import plan as plans
from hpcgan.training.plan import Plan
from hpcgan.world import World

if TYPE_CHECKING:
    import tensorflow as tf

    from hpcgan.data.feed import Feed
    from hpcgan.gan.update import Update

# Segments of each way that count: their median stands two that something else disturbed.
_SEGMENTS = 5
# Steps inside one call of the compiled update, and their seconds: as in training.
_MOST_STEPS = 10
_MOST_SECONDS = 5.0
# Single steps of each rank that are timed, for their variation.
_SINGLE = 20
_PACKAGES = ("hpcgan", "tensorflow", "keras", "horovod", "mpi4py", "numpy")


def main() -> int:
    """Run the program on all ranks and return its exit status."""
    return command.run("hpcgan scale", lambda: _parse(sys.argv[1:]))


def _parse(words: list[str]) -> argparse.Namespace:
    parser = command.Parser("hpcgan.scaling.measure", allow_abbrev=False)
    parser.add_argument("config")
    parser.add_argument("out", type=Path)
    parser.add_argument("kind", choices=("weak", "strong"))
    parser.add_argument("seconds", type=float)
    arguments, rest = parser.parse_known_args(words)
    arguments.overrides = rest
    arguments.run = _measure
    return arguments


def _measure(world: World, arguments: argparse.Namespace) -> None:
    """Measure on all ranks and write the file on rank 0."""
    started = datetime.now(timezone.utc).isoformat(timespec="seconds")
    overrides = list(arguments.overrides)
    if arguments.kind == "weak":
        overrides += ["--data.shards", str(world.size)]
    config = world.on_root(lambda: asdict(load(arguments.config, overrides)))
    # A run directory that does not exist, and that nothing here makes.
    nowhere = arguments.out.with_suffix(".none")
    plan = plans.prepare(world, arguments.config, overrides, nowhere, "never")
    prepare_tensorflow(world)
    with opened_shards(world, plan.config, plan.source, plan.division) as shards:
        bench = Bench(world, plan, shards)
        run = bench.measure(arguments.kind, config, started, arguments.seconds)
    world.on_root(lambda: write_whole(arguments.out, to_json(run).encode()))


class Bench:
    """The networks, the samples that they learn from, and the ways in which they are timed.

    All ranks must make it and call its methods in the same order.
    """

    def __init__(self, world: World, plan: Plan, shards: Mapping[int, Shard]) -> None:
        """Build the networks, the feeds and the limit."""
        from hpcgan.data.feed import Feed
        from hpcgan.gan.state import State
        from hpcgan.gan.update import Update

        self._world, self._plan = world, plan
        config, source = plan.config, plan.source
        self._state = world.together(lambda: State(config, source.sample_shape))
        self._per_step = config.train.batch_size * config.train.discriminator_steps
        self._feeds = [Feed(shards.values(), self._per_step, source.sample_shape, source.dtype)]
        if config.model.condition != "none":
            self._feeds.append(_labels(plan, self._per_step))
        self._step = 0
        self._pace = 0.0  # seconds of a step of the last way, about
        self._skipped = self._all_skipped = 0
        self._sizes: list[int] = []  # bytes of what the limit does not send in a step

        def keep(tensor: tf.Tensor) -> tf.Tensor:
            self._sizes.append(4 * tensor.shape.num_elements())
            return tensor

        def keep_half(tensor: tf.Tensor) -> tf.Tensor:
            self._sizes.append(2 * tensor.shape.num_elements())
            return tensor

        halves = None if config.parallel.compression == "none" else keep_half
        hosted = plan.division.hosted
        self._limit = world.together(
            lambda: Update(config, self._state, source.dtype, hosted, keep, halves)
        )

    def measure(self, kind: str, config: dict[str, Any], started: str, seconds: float) -> Run:
        """Time both ways, ``seconds`` each, and return what was found; the same on all ranks."""
        from hpcgan.parallel import synchronous

        world, plan = self._world, self._plan
        limit = self._way(self._limit, seconds)
        compute = self._singles(seconds)
        # Made now that the limit is compiled: layers that talk to other ranks get the ring from it.
        ring = synchronous.make_update(
            world, plan.config, self._state, plan.source.dtype, plan.division.hosted
        )
        exchange = self._way(ring, seconds)
        return Run(
            kind=kind,
            started=started,
            job=os.environ.get("SLURM_JOB_ID"),
            hosts=world.gather_json(world.host),
            cores=world.gather_json(world.cores),
            oversubscribed=_shares_cores(world),
            config=config,
            images=plan.images_per_step,
            samples=self._per_step * max(world.gather_json(len(plan.division.hosted))),
            gradient_bytes=sum(self._sizes),
            exchanges=len(self._sizes),
            exchange=exchange,
            limit=limit,
            compute_seconds=compute,
            skipped=self._all_skipped,
            versions={"python": platform.python_version(), **versions(_PACKAGES)},
        )

    def _way(self, update: Update, seconds: float) -> list[Segment]:
        """Return what counts of a way: ``seconds`` of it, after its compilation and warm-up."""
        self._segment(update, self._batches(1, 1), 1)
        self._pace = self._segment(update, self._batches(1, 3), 3).slowest
        steps = min(_MOST_STEPS, max(1, int(_MOST_SECONDS / self._pace)))
        calls = max(1, round(seconds / _SEGMENTS / (steps * self._pace)))
        batches = self._batches(steps, (_SEGMENTS + 1) * calls)
        self._segment(update, batches, calls)  # calls of so many steps come for the first time
        self._skipped = 0
        found = [self._segment(update, batches, calls) for _ in range(_SEGMENTS)]
        self._all_skipped += self._skipped
        return found

    def _segment(self, update: Update, batches: Iterator[list[tf.Tensor]], calls: int) -> Segment:
        """Make calls of an update, which all ranks begin together, and time them."""
        self._world.barrier()
        began, waited, first = time.perf_counter(), 0.0, self._step
        for _ in range(calls):
            asked = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - asked
            self._call(update, batch)
        own = (time.perf_counter() - began, waited)
        seconds, waits = zip(*self._world.gather_json(own), strict=True)
        return Segment(self._step - first, list(seconds), list(waits))

    def _singles(self, seconds: float) -> list[list[float]]:
        """Return the seconds of single steps without exchange, of each rank."""
        number = min(_SINGLE, max(2, int(seconds / _SEGMENTS / self._pace)))
        found = []
        for batch in self._batches(1, number):
            began = time.perf_counter()
            self._call(self._limit, batch)
            found.append(time.perf_counter() - began)
        return self._world.gather_json(found)

    def _call(self, update: Update, batch: list[tf.Tensor]) -> None:
        """Make a call of an update, and wait for its end as training does."""
        import tensorflow as tf

        samples, *labels = batch
        report = update.run(samples, tf.constant(self._step, tf.int64), *labels)
        report.losses.numpy()
        self._skipped += int((report.skipped.numpy() > 0).sum())
        self._step += samples.shape[0]

    def _batches(self, steps: int, calls: int) -> Iterator[list[tf.Tensor]]:
        """Return the batches of some calls of ``steps`` steps: samples, and labels if there are.

        All must be taken before others are asked for, since feeds make one after the other.
        """
        firsts = range(self._step, self._step + steps * calls, steps)
        feeds = [feed.batches((first, steps) for first in firsts) for feed in self._feeds]
        return (list(batch) for batch in zip(*feeds, strict=True))


def _labels(plan: Plan, per_step: int) -> Feed:
    """Return the feed of the samples' labels."""
    from hpcgan.data.feed import Feed

    division = plan.division
    labels = {s: as_input(plan.config.model, own) for s, own in division.labels.items()}
    shards = label_shards(plan.config, division, labels)
    return Feed(shards.values(), per_step, (), next(iter(labels.values())).dtype.name)


def _shares_cores(world: World) -> bool:
    """Return whether some node has more ranks than cores that they may use. A collective."""
    cores: dict[str, set[int]] = defaultdict(set)
    every = world.gather_json([world.host, sorted(os.sched_getaffinity(0))])
    for host, own in every:
        cores[host].update(own)
    ranks = Counter(host for host, _ in every)
    return any(ranks[host] > len(cores[host]) for host in cores)


if __name__ == "__main__":
    sys.exit(main())
