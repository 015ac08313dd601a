"""What the two programs of a study share: their command line and file, the networks and samples of
a configuration, and calls of the compiled update, as in ``hpcgan train`` without checkpoints and
journal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpcgan import command
from hpcgan.config_file import load
from hpcgan.data.residency import label_shards, opened_shards
from hpcgan.devices import prepare_tensorflow
from hpcgan.files import write_whole
from hpcgan.gan.conditions import as_input
from hpcgan.scaling.runs import Start, to_json
from hpcgan.training import plan as plans
from hpcgan.training.plan import Plan
from hpcgan.world import World

if TYPE_CHECKING:
    import tensorflow as tf

    from hpcgan.data.feed import Feed
    from hpcgan.gan.update import Update

Make = Callable[[World, "Calls", float], dict[str, Any]]


def main(kind: type[Start], make: Make) -> int:
    """Run a program of a study on all ranks; return its exit status. Arguments: see ``parse``."""
    return command.run("hpcgan scale", lambda: parse(kind, make, sys.argv[1:]))


def parse(kind: type[Start], make: Make, words: list[str]) -> argparse.Namespace:
    """Return the parsed command line of a program, whose ``run`` all ranks must call.

    Args:
        kind: of the file that it writes.
        make: returns, from ranks, calls and AMOUNT, what the file holds besides ``Start``.
        words: CONFIG.yaml OUT.json weak|strong AMOUNT, and what is for the configuration. AMOUNT is
            of seconds to measure, or of images to train on.
    """
    parser = command.Parser("hpcgan scale", allow_abbrev=False)
    parser.add_argument("config")
    parser.add_argument("out", type=Path)
    parser.add_argument("kind", choices=("weak", "strong"))
    parser.add_argument("amount", type=float)
    arguments, overrides = parser.parse_known_args(words)

    def run(world: World, given: argparse.Namespace) -> None:
        started = datetime.now(timezone.utc).isoformat(timespec="seconds")
        with _opened(world, given) as (found, config):
            own = make(world, found, given.amount)
        start = kind(given.kind, started, world.gather_json(world.host), config, **own)
        world.on_root(lambda: write_whole(given.out, to_json(start).encode()))

    arguments.overrides, arguments.run = overrides, run
    return arguments


@contextmanager
def _opened(world: World, arguments: argparse.Namespace) -> Iterator[tuple[Calls, dict[str, Any]]]:
    """Give the calls that can be made, and the configuration as sections and keys.

    All ranks must enter it together; what is wrong is raised on all of them.
    """
    overrides = list(arguments.overrides)
    if arguments.kind == "weak":
        overrides += ["--data.shards", str(world.size)]
    config = world.on_root(lambda: asdict(load(arguments.config, overrides)))
    # A run directory that does not exist, and that nothing here makes.
    nowhere = arguments.out.with_suffix(".none")
    plan = plans.prepare(world, arguments.config, overrides, nowhere, "never")
    world.together(lambda: prepare_tensorflow(world))
    with opened_shards(world, plan.config, plan.source, plan.division) as shards:
        from hpcgan.data.feed import Feed

        per_step = plan.config.train.batch_size * plan.config.train.discriminator_steps
        feeds = [Feed(shards.values(), per_step, plan.source.sample_shape, plan.source.dtype)]
        if plan.config.model.condition != "none":
            feeds.append(_labels(plan, per_step))
        yield Calls(world, plan, feeds), config


class Calls:
    """The networks, the samples that they learn from, and how far they have come.

    All ranks must make it and call its methods in the same order.

    Attributes:
        plan: the run.
        state: the networks.
        step: updates of G that were made.
        skipped: of these, those that were left out, since their numbers were not finite.
    """

    def __init__(self, world: World, plan: Plan, feeds: list[Feed]) -> None:
        """Build the networks."""
        from hpcgan.gan.state import State

        self.plan = plan
        self.state = world.together(lambda: State(plan.config, plan.source.sample_shape))
        self.step = self.skipped = 0
        self._feeds = feeds

    def call(self, update: Update, batch: list[tf.Tensor]) -> None:
        """Make a call of an update and wait for its end, as training does."""
        import tensorflow as tf

        samples, *labels = batch
        report = update.run(samples, tf.constant(self.step, tf.int64), *labels)
        report.losses.numpy()
        self.skipped += int((report.skipped.numpy() > 0).sum())
        self.step += samples.shape[0]

    def batches(self, calls: Iterable[int]) -> Iterator[list[tf.Tensor]]:
        """Return the batches, samples and labels, of calls with these numbers of steps.

        All must be taken before others are asked for, since feeds make one after the other.
        """
        spans, first = [], self.step
        for steps in calls:
            spans.append((first, steps))
            first += steps
        feeds = [feed.batches(spans) for feed in self._feeds]
        return (list(batch) for batch in zip(*feeds, strict=True))


def _labels(plan: Plan, per_step: int) -> Feed:
    """Return the feed of the samples' labels."""
    from hpcgan.data.feed import Feed

    division = plan.division
    labels = {s: as_input(plan.config.model, own) for s, own in division.labels.items()}
    shards = label_shards(plan.config, division, labels)
    return Feed(shards.values(), per_step, (), next(iter(labels.values())).dtype.name)
