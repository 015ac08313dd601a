"""The run, from first step to last.

All ranks walk through the same spans of steps. A span is one call of the compiled update, and
ends wherever something is due: a line of the journal, a sample grid, a checkpoint, the end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NoReturn

import tensorflow as tf

from hpcgan import checkpoint
from hpcgan.config import Config
from hpcgan.data.feed import Feed
from hpcgan.data.residency import label_shards, opened_shards
from hpcgan.errors import DataError, RunError, Stopped
from hpcgan.gan.conditions import as_input
from hpcgan.gan.state import State
from hpcgan.gan.update import Update
from hpcgan.parallel import synchronous
from hpcgan.training.journal import Journal
from hpcgan.training.plan import Plan
from hpcgan.training.saver import Saver
from hpcgan.training.stop import Request
from hpcgan.training.watch import Skips, compare_ranks
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
        Stopped: somebody asked for it; the checkpoint is written (on all ranks).
    """
    config = plan.config
    state = world.together(lambda: State(config, plan.source.sample_shape))
    checkpoint.restore(world, state, plan.found)
    request = Request(config.run.time_limit)
    with (
        request.listening(),
        opened_shards(world, config, plan.source, plan.division) as shards,
    ):
        hosted = plan.division.hosted
        update = synchronous.make_update(world, config, state, plan.source.dtype, hosted)
        per_step = config.train.batch_size * config.train.discriminator_steps
        feed = Feed(shards.values(), per_step, plan.source.sample_shape, plan.source.dtype)
        labels = _label_feed(plan, per_step)
        journal = Journal(plan, state, world) if world.is_root else None
        saver = Saver(plan, state) if world.is_root else None
        if saver and state.step == 0:
            saver.save_now()
        _walk(world, plan, state, update, feed, labels, journal, saver, request)
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
    world: World,
    plan: Plan,
    state: State,
    update: Update,
    feed: Feed,
    labels: Feed | None,
    journal: Journal | None,
    saver: Saver | None,
    request: Request,
) -> None:
    """Make the steps from the state's on. All ranks must call it.

    Raises:
        Stopped: a rank was asked to stop; all ranks raise it after the same step.
    """
    config = plan.config
    skips = Skips(config.watch, config.train.precision)
    batches = feed.batches(spans(config, state.step))
    label_batches = labels.batches(spans(config, state.step)) if labels else None
    for first, steps in spans(config, state.step):
        asked = time.monotonic()
        batch = [_next(batches, first), tf.constant(first, tf.int64)]
        if label_batches:
            batch.append(next(label_batches))
        waited = time.monotonic() - asked
        if request.is_made():
            update.ask_to_stop()
        report = update.run(*batch)
        state.step = first + steps
        skipped = report.skipped.numpy() > 0
        skips.check(skipped, state.step)
        stops = bool(report.stop.numpy().any())
        if journal:
            journal.advance(report.losses.numpy()[~skipped], int(skipped.sum()), waited)
            if is_due(config.log.every_steps, state.step, config):
                journal.log()
            if is_due(samples_period(config), state.step, config):
                journal.draw()
        if saver and stops:
            saver.save_now()
        elif saver:
            saver.after_span(is_due(config.checkpoint.every_steps, state.step, config))
        drift = config.watch.drift_steps
        if drift and state.step // drift > first // drift:
            compare_ranks(world, state)
        if stops and state.step < config.train.steps:
            _stop(world, state, request)


def _stop(world: World, state: State, request: Request) -> NoReturn:
    """End the run after its checkpoint. All ranks must call it, after the same step."""
    reasons = world.gather_json(request.reason)
    why = ", ".join(
        f"{reason} (rank {rank})" for rank, reason in enumerate(reasons) if reason is not None
    )
    raise Stopped(
        f"stopped after step {state.step} by {why}; its checkpoint is written: the same command "
        "goes on"
    )


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
