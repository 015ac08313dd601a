"""The run, from first step to last.

All ranks walk through the same spans of steps. A span is one call of the compiled update, and
ends wherever something is due: a line of the journal, a sample grid, a checkpoint, the end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from hpcgan import checkpoint
from hpcgan.config import Config
from hpcgan.data.feed import Feed
from hpcgan.data.residency import label_shards, opened_shards
from hpcgan.errors import DataError, RunError
from hpcgan.gan.conditions import as_input
from hpcgan.gan.state import State
from hpcgan.gan.update import Update
from hpcgan.parallel import synchronous
from hpcgan.training.journal import Journal
from hpcgan.training.plan import Plan
from hpcgan.training.saver import Saver
from hpcgan.world import World

# Steps inside one call of the compiled update: enough to make a call's own cost invisible, few
# enough that a slow network's progress is seen.
_LONGEST_SPAN = 10


def train(world: World, plan: Plan) -> None:
    """Train to the last step. All ranks must call it, with the plan that they made together.

    Raises:
        DataError: the samples cannot be loaded or staged (on all ranks).
        RunError: a loss is no longer finite (on all ranks), rank 0 cannot write, or a rank cannot
            read on.
    """
    config = plan.config
    state = world.together(lambda: State(config, plan.source.sample_shape))
    checkpoint.restore(world, state, plan.found)
    with opened_shards(world, config, plan.source, plan.division) as shards:
        hosted = plan.division.hosted
        update = synchronous.make_update(world, config, state, plan.source.dtype, hosted)
        per_step = config.train.batch_size * config.train.discriminator_steps
        feed = Feed(shards.values(), per_step, plan.source.sample_shape, plan.source.dtype)
        labels = _label_feed(plan, per_step)
        journal = Journal(plan, state, world) if world.is_root else None
        saver = Saver(plan, state) if world.is_root else None
        if saver and state.step == 0:
            saver.save_first()
        _walk(plan, state, update, feed, labels, journal, saver)
        if saver:
            saver.close()
        if journal:
            journal.close()
        world.barrier()


def _label_feed(plan: Plan, per_step: int) -> Feed | None:
    """Return the feed of the samples' labels, if the networks take any."""
    model, division = plan.config.model, plan.division
    if model.condition == "none":
        return None
    labels = {shard: as_input(model, own) for shard, own in division.labels.items()}
    shards = label_shards(plan.config, division, labels)
    return Feed(shards.values(), per_step, (), next(iter(labels.values())).dtype.name)


def _walk(
    plan: Plan,
    state: State,
    update: Update,
    feed: Feed,
    labels: Feed | None,
    journal: Journal | None,
    saver: Saver | None,
) -> None:
    """Make the steps from the state's on. All ranks must call it."""
    config = plan.config
    losses: list[tf.Tensor] = []
    batches = feed.batches(spans(config, state.step))
    label_batches = labels.batches(spans(config, state.step)) if labels else None
    for first, steps in spans(config, state.step):
        asked = time.monotonic()
        batch = [_next(batches, first), tf.constant(first, tf.int64)]
        if label_batches:
            batch.append(next(label_batches))
        waited = time.monotonic() - asked
        losses.append(update.run(*batch))
        state.step = first + steps
        saves = is_due(config.checkpoint.every_steps, state.step, config)
        logs = is_due(config.log.every_steps, state.step, config)
        if saves or logs:
            means = _means(losses, state.step)  # before saving: it refuses what is not finite
        if logs:
            losses.clear()
            if journal:
                journal.log(*means)
        if journal:
            journal.advance(steps, waited)
            if is_due(samples_period(config), state.step, config):
                journal.draw()
        if saver:
            saver.after_span(saves, lambda: _are_finite(losses))


def _next(batches: Iterator[tf.Tensor], step: int) -> tf.Tensor:
    """Return the next batch; files that fail now were right when the run began."""
    try:
        return next(batches)
    except DataError as error:
        raise RunError(
            f"after step {step}: {error}; mend it, and the same command goes on from the newest "
            "checkpoint"
        ) from None


def spans(config: Config, start: int) -> Iterator[tuple[int, int]]:
    """Yield (first step, number of steps) of each call of the update from ``start`` on."""
    periods = [config.log.every_steps, samples_period(config), config.checkpoint.every_steps]
    while start < config.train.steps:
        ends = [start + _LONGEST_SPAN, config.train.steps]
        end = min(ends + [(start // period + 1) * period for period in periods if period])
        yield start, end - start
        start = end


def is_due(period: int | None, step: int, config: Config) -> bool:
    """Return whether what happens every ``period`` steps and at the end happens now."""
    return step == config.train.steps or (period is not None and step % period == 0)


def samples_period(config: Config) -> int | None:
    """Return the steps between two sample grids; None for one at the end."""
    return config.log.samples_every_steps or config.checkpoint.every_steps


def _means(losses: list[tf.Tensor], step: int) -> tuple[float, float]:
    """Return the mean losses of D and G since the last line.

    They are averages over all shards, the same on all ranks: so all ranks stop here if one is
    not finite. All ranks must call it at the same steps.
    """
    means = np.concatenate([each.numpy() for each in losses]).mean(axis=0, dtype=np.float64)
    if not np.isfinite(means).all():
        error = RunError(
            f"the losses up to step {step} are not finite (discriminator {means[0]}, generator "
            f"{means[1]}); go on from an earlier checkpoint with a lower learning rate"
        )
        error.agreed = True
        raise error
    return float(means[0]), float(means[1])


def _are_finite(losses: list[tf.Tensor]) -> bool:
    """Return whether all losses since the last line are finite; one rank alone may ask."""
    return all(np.isfinite(each.numpy()).all() for each in losses)
