"""What all ranks of a study do at each start: take the configuration's networks and samples, and
make calls of the compiled update, as ``hpcgan train`` does, but for checkpoints and journal."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpcgan import command
from hpcgan.config_file import load
from hpcgan.data.placement import in_memory_shards, opened_shards
from hpcgan.devices import prepare_tensorflow
from hpcgan.gan.conditions import as_input
from hpcgan.training import plan as plans
from hpcgan.training.plan import Plan
from hpcgan.world import World

if TYPE_CHECKING:
    import tensorflow as tf

    from hpcgan.data.prefetcher import Prefetcher
    from hpcgan.gan.update import Update


def parse(program: str, amount: str, number: type, words: list[str]) -> argparse.Namespace:
    """Return the arguments of a program of a study's ranks.

    Args:
        program: its name.
        amount: name of its last argument, which tells how much is to be done.
        number: type of that.
        words: CONFIG.yaml OUT.json weak|strong AMOUNT, and what is for the configuration.
    """
    parser = command.Parser(program, allow_abbrev=False)
    parser.add_argument("config")
    parser.add_argument("out", type=Path)
    parser.add_argument("kind", choices=("weak", "strong"))
    parser.add_argument(amount, type=number)
    arguments, overrides = parser.parse_known_args(words)
    arguments.overrides = overrides
    return arguments


@contextmanager
def opened(world: World, arguments: argparse.Namespace) -> Iterator[tuple[Calls, dict[str, Any]]]:
    """Prepare the networks and open the data; all ranks must enter it together.

    Yields:
        The calls that can be made, and the configuration that was given, as sections and keys.

    Raises:
        UserError: something is wrong; the same on all ranks.
    """
    overrides = list(arguments.overrides)
    if arguments.kind == "weak":
        overrides += ["--data.shards", str(world.size)]
    config = world.on_root(lambda: asdict(load(arguments.config, overrides)))
    # A run directory that does not exist, and that nothing here makes.
    nowhere = arguments.out.with_suffix(".none")
    plan = plans.prepare(world, arguments.config, overrides, nowhere, "never")
    world.together(lambda: prepare_tensorflow(world))
    with opened_shards(world, plan.config, plan.source, plan.assignment) as shards:
        from hpcgan.data.prefetcher import Prefetcher

        per_step = plan.config.train.batch_size * plan.config.train.discriminator_steps
        feeds = [Prefetcher(shards.values(), per_step, plan.source.sample_shape, plan.source.dtype)]
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

    def __init__(self, world: World, plan: Plan, feeds: list[Prefetcher]) -> None:
        """Build the networks."""
        from hpcgan.gan.state import State

        self.plan = plan
        self.state = world.together(lambda: State(plan.config, plan.source.sample_shape))
        self.step = self.skipped = 0
        self._feeds = feeds

    def call(self, update: Update, batch: list[tf.Tensor]) -> None:
        """Make a call of an update, and wait for its end as training does."""
        import tensorflow as tf

        samples, *labels = batch
        report = update.run(samples, tf.constant(self.step, tf.int64), *labels)
        report.losses.numpy()
        self.skipped += int((report.skipped.numpy() > 0).sum())
        self.step += samples.shape[0]

    def batches(self, calls: Iterable[int]) -> Iterator[list[tf.Tensor]]:
        """Return the batches of some calls: samples, and labels if there are.

        All must be taken before others are asked for, since feeds make one after the other.

        Args:
            calls: the steps of each.
        """
        spans, first = [], self.step
        for steps in calls:
            spans.append((first, steps))
            first += steps
        feeds = [feed.batches(spans) for feed in self._feeds]
        return (list(batch) for batch in zip(*feeds, strict=True))


def _labels(plan: Plan, per_step: int) -> Prefetcher:
    """Return the feed of the samples' labels."""
    from hpcgan.data.prefetcher import Prefetcher

    assignment = plan.assignment
    labels = {s: as_input(plan.config.model, own) for s, own in assignment.labels.items()}
    shards = in_memory_shards(plan.config, assignment, labels)
    return Prefetcher(shards.values(), per_step, (), next(iter(labels.values())).dtype.name)
