"""The run, from first step to last.

All ranks make the same calls of the compiled update. A call makes some steps, and ends wherever
something is due: a line of the journal, a sample grid, a checkpoint, the end.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import NoReturn

import numpy as np
import tensorflow as tf

from hpcgan import checkpoint
from hpcgan.data.placement import Shard, in_memory_shards, opened_shards
from hpcgan.data.prefetcher import Prefetcher
from hpcgan.errors import DataError, RunError, Stopped, UserError
from hpcgan.gan.conditions import as_input
from hpcgan.gan.state import State
from hpcgan.parallel import synchronous
from hpcgan.parallel.marks import Marks
from hpcgan.training import directory, timeline
from hpcgan.training.calls import is_due, samples_period, spans, steps_a_call
from hpcgan.training.heartbeat import Heartbeat
from hpcgan.training.journal import Journal
from hpcgan.training.mlperf import MlperfLog
from hpcgan.training.plan import Plan
from hpcgan.training.saver import Saver
from hpcgan.training.split import Splits
from hpcgan.training.stop import Request
from hpcgan.training.stopwatch import Stopwatch
from hpcgan.training.watch import Diverged, Skips, compare_ranks
from hpcgan.world import World


def train(world: World, plan: Plan, request: Request, keeps_timeline: bool = False) -> None:
    """Train to the last step. All ranks must call it, with the plan that they made together.

    When it returns, or raises what all ranks raise, nothing is being written any more.

    Args:
        world: the ranks.
        plan: the run, in a directory that they hold (``directory.held``).
        request: tells when this rank is asked to stop.
        keeps_timeline: whether a timeline of all ranks is written at the end.

    Raises:
        DataError: the samples cannot be loaded or staged (on all ranks).
        RunError: a loss is no longer finite (on all ranks), rank 0 cannot write, or a rank cannot
            read on.
        Stopped: somebody asked for it; the checkpoint is written (on all ranks).
    """
    config = plan.config
    heartbeat = Heartbeat(world, config.run.stall_seconds)
    with heartbeat.beating():
        state = world.together(lambda: State(config, plan.source.sample_shape))
        checkpoint.restore(world, state, plan.found)
        if plan.found:
            plan.found.groups.clear()  # rank 0 would hold the state twice to the end
        with opened_shards(world, config, plan.source, plan.assignment) as shards:
            run = Run(world, plan, state, shards, request, heartbeat, keeps_timeline)
            try:
                run.walk()
            except UserError as error:
                if error.agreed:  # any other ends all ranks at once, with their threads
                    run.settle()
                raise
            run.close()


class Run:
    """A run under way: what it consists of, and its walk through the steps.

    All public methods are for all ranks, which must call them in the same order.
    """

    def __init__(
        self,
        world: World,
        plan: Plan,
        state: State,
        shards: Mapping[int, Shard],
        request: Request,
        heartbeat: Heartbeat,
        keeps_timeline: bool = False,
    ) -> None:
        """Compile the update, take up the journal, and make a checkpoint if there is none yet."""
        self._world = world
        self._plan = plan
        self._config = plan.config
        self._state = state
        self._request = request
        self._heartbeat = heartbeat
        self._keeps_timeline = keeps_timeline
        config, source = plan.config, plan.source
        marks = Marks()
        self._update = synchronous.make_update(
            world, config, state, source.dtype, plan.assignment.hosted, marks
        )
        per_step = config.train.batch_size * config.train.discriminator_steps
        self._samples = Prefetcher(shards.values(), per_step, source.sample_shape, source.dtype)
        self._labels = _label_feed(plan, per_step)
        self._skips = Skips(config.watch, config.train.precision)
        self._seconds = 0.0  # of a step, in the last call
        self._journal = Journal(plan, state, world) if world.is_root else None
        writes_mlperf = world.is_root and config.log.mlperf
        self._mlperf = MlperfLog(plan, state, world) if writes_mlperf else None
        self._saver = Saver(plan, state) if world.is_root else None
        self._same_at = state.step  # updates after which all ranks held the same networks
        # A run that begins from a checkpoint of another directory has none here, too.
        if self._saver and not checkpoint.path_of(plan.checkpoints, state.step).exists():
            self._saver.save_now()
        self._stopwatch = Stopwatch(marks, timeline.most_events(world) if keeps_timeline else 0)
        self._splits = Splits(world, self._stopwatch)

    def walk(self) -> None:
        """Make the steps from the state's on.

        Raises:
            RunError: as ``train``.
            Stopped: a rank was asked to stop; all ranks raise it after the same step.
        """
        if self._mlperf:
            self._mlperf.start()
        while self._state.step < self._config.train.steps:
            try:
                # The first call is compiled, the second tells how long a step takes.
                self._make(itertools.islice(spans(self._config, self._state.step, 1), 2))
                seconds = self._world.broadcast_json(self._seconds)
                self._make(spans(self._config, self._state.step, steps_a_call(seconds)))
            except Diverged as trouble:
                self._go_back(str(trouble))

    def close(self) -> None:
        """Wait for the last checkpoint and end the journal."""
        if self._saver:
            self._saver.close()
        if self._mlperf:
            self._mlperf.finish("success")
        self._write_timeline()
        if self._journal:
            self._journal.close()
        self._world.barrier()

    def settle(self) -> None:
        """Wait until nothing is being written, when all ranks have raised an error."""
        if self._saver:
            self._saver.settle()

    def _make(self, calls: Iterable[tuple[int, int]]) -> None:
        """Make calls of the update, each (first step, number of steps)."""
        feeds = [self._samples, *([self._labels] if self._labels else [])]
        # One copy a feed and no more: what a copy has not given yet is kept for it.
        calls, *for_feeds = itertools.tee(calls, 1 + len(feeds))
        # Updates that were lost have used their samples: those that come after them are used now.
        discarded = self._state.discarded
        batches = [
            feed.batches((first + discarded, steps) for first, steps in own)
            for feed, own in zip(feeds, for_feeds, strict=True)
        ]
        for first, steps in calls:
            with self._stopwatch.doing("input", first):
                samples, *labels = [_next(each, first) for each in batches]
            batch = [samples, tf.constant(first, tf.int64), *labels]
            self._make_one(batch, first, steps)

    def _make_one(self, batch: list[tf.Tensor], first: int, steps: int) -> None:
        """Make one call, and all that is due after it."""
        if self._request.is_made():
            self._update.ask_to_stop()
        began = time.monotonic()
        with self._heartbeat.updating(first), self._stopwatch.updating(first, steps):
            report = self._update.run(*batch)
            losses, skipped = report.losses.numpy(), report.skipped.numpy() > 0
            stops = bool(report.stop.numpy().any())
        self._seconds = (time.monotonic() - began) / steps
        self._state.step = first + steps
        self._world.progress = f"after step {self._state.step}"
        self._skips.check(skipped, self._state.step)
        drift = self._config.watch.drift_steps
        if drift and self._state.step // drift > first // drift:
            compare_ranks(self._world, self._state, self._same_at)
            self._same_at = self._state.step
        self._tell(batch[0], losses, skipped)
        if self._saver:
            with self._stopwatch.doing("checkpoint", self._state.step):
                if stops:
                    self._saver.save_now()
                else:
                    self._saver.after_span(self._is_due(self._config.checkpoint.every_steps))
        if stops and self._state.step < self._config.train.steps:
            self._stop()

    def _tell(self, samples: tf.Tensor, losses: np.ndarray, skipped: np.ndarray) -> None:
        """Have the journal take note of a call. All ranks must call it, after the same step."""
        is_line = self._is_due(self._config.log.every_steps)
        split = self._splits.at_line() if is_line else None
        if not self._journal:
            return
        self._journal.check_place()
        self._journal.advance(losses[~skipped], int(skipped.sum()))
        with self._stopwatch.doing("journal", self._state.step):
            if is_line:
                self._journal.log(split)
            if self._is_due(samples_period(self._config)):
                self._journal.draw()
                if self._mlperf:
                    self._mlperf.evaluate(samples)

    def _is_due(self, period: int | None) -> bool:
        return is_due(period, self._state.step, self._config)

    def _go_back(self, why: str) -> None:
        """Go on from the newest checkpoint, with other samples and noise and lower learning rates.

        What was not finite comes from few batches, or from rates that are too high: large language
        models are trained through both in this way (Chowdhery et al., PaLM: Scaling language
        modeling with pathways, 2022, section 5.1). All ranks must call it after the same step.

        Raises:
            RunError: the run has gone back often enough, or there is no checkpoint (on all ranks).
        """
        state = self._state
        rollbacks, drawn = state.rollbacks + 1, state.discarded + state.step
        found = checkpoint.read_together(self._world, self._last_good)
        assert found is not None
        checkpoint.restore(self._world, state, found)
        self._same_at = state.step
        state.rollbacks, state.discarded = rollbacks, drawn - state.step
        self._world.together(lambda: self._check_rollbacks(why))
        self._update.go_back()
        self._skips = Skips(self._config.watch, self._config.train.precision)
        self._stopwatch.reset()
        if self._journal:
            self._journal.rewind(why)
        if self._saver:
            self._saver.save_now()  # a run that is killed now must not try the same again

    def _last_good(self) -> checkpoint.Checkpoint:
        """Return the newest whole checkpoint; rank 0 alone."""
        assert self._saver is not None
        self._saver.wait()
        return directory.go_back(self._plan.checkpoints)

    def _check_rollbacks(self, why: str) -> None:
        """Refuse to go back once more than the configuration allows."""
        most = self._config.watch.rollbacks
        if self._state.rollbacks > most:
            raise RunError(
                f"{why}, and the run has gone back {most} times (watch.rollbacks); start again "
                "with lower learning rates, or another loss"
            )

    def _stop(self) -> NoReturn:
        """End the run after its checkpoint. All ranks must call it, after the same step."""
        reasons = self._world.gather_json(self._request.reason)
        why = ", ".join(
            f"{reason} (rank {rank})" for rank, reason in enumerate(reasons) if reason is not None
        )
        if self._mlperf:
            self._mlperf.finish("aborted")
        self._write_timeline()
        if self._journal:
            self._journal.stop(why)
        raise Stopped(
            f"stopped after step {self._state.step} by {why}; its checkpoint is written: the same "
            "command with --resume auto, the default, goes on"
        )

    def _write_timeline(self) -> None:
        """Write the timeline if there is to be one. All ranks must call it."""
        if self._keeps_timeline:
            path = timeline.write(self._world, self._stopwatch, self._plan.run_dir)
            if self._journal:
                print(f"hpcgan: the timeline of all ranks is {path}", flush=True)


def _label_feed(plan: Plan, per_step: int) -> Prefetcher | None:
    """Return the feed of the samples' labels, if the networks take any."""
    model, assignment = plan.config.model, plan.assignment
    if model.condition == "none":
        return None
    labels = {shard: as_input(model, own) for shard, own in assignment.labels.items()}
    shards = in_memory_shards(plan.config, assignment, labels)
    return Prefetcher(shards.values(), per_step, (), next(iter(labels.values())).dtype.name)


def _next(batches: Iterator[tf.Tensor], step: int) -> tf.Tensor:
    """Return the next batch; files that fail now were right when the run began."""
    try:
        return next(batches)
    except DataError as error:
        raise RunError(
            f"after step {step}: {error}; mend it, and the same command goes on from the newest "
            "checkpoint"
        ) from None
