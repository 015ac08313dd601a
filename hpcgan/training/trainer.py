"""The trainer: one loop over calls of a strategy, with callbacks after each of them.

All ranks make the same calls. A call makes some training steps, compiled, and ends wherever a
callback has something to do: a line of the log, a sample grid, a checkpoint, the end.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

import tensorflow as tf

from hpcgan.data.placement import Shard, in_memory_shards
from hpcgan.data.prefetcher import Prefetcher
from hpcgan.errors import DataError, RunError
from hpcgan.gan.conditions import as_input
from hpcgan.gan.state import State
from hpcgan.parallel import Strategy
from hpcgan.training.callback import Call, Callback
from hpcgan.training.calls import calls, steps_per_call
from hpcgan.training.plan import Plan
from hpcgan.training.timer import Timer
from hpcgan.world import World


class Trainer:
    """Trains the networks of a state on the samples of this rank's shards.

    All ranks must make theirs, and call ``fit`` together.
    """

    def __init__(
        self,
        world: World,
        plan: Plan,
        state: State,
        strategy: Strategy,
        shards: Mapping[int, Shard],
        timer: Timer,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        """Prepare the training.

        Args:
            world: the ranks.
            plan: of the run.
            state: the networks, which the strategy changes.
            strategy: the way of training.
            shards: the samples of each shard that this rank reads.
            timer: measures where this rank's time goes.
            callbacks: what happens beside it; the first is closest to a call, before and after.
        """
        self._world = world
        self._state = state
        self._strategy = strategy
        self._timer = timer
        self._callbacks = list(callbacks)
        per_step = plan.config.train.batch_size * plan.config.train.discriminator_steps
        source = plan.source
        self._prefetchers = [
            Prefetcher(shards.values(), per_step, source.sample_shape, source.dtype)
        ]
        if plan.config.model.condition != "none":
            self._prefetchers.append(_label_prefetcher(plan, per_step))
        self._staleness = plan.config.staleness
        self._seconds = 0.0  # of a step, in the last call

    def fit(self, last: int, most: int | None = None) -> None:
        """Train from the state's step to ``last``, if it is not there yet.

        Args:
            last: steps of the state at the end.
            most: steps per call; None to choose by the time that a step takes.

        Raises:
            RunError: a data file can no longer be read (on the rank that reads it).
        """
        if self._state.step >= last:
            return
        if most is None:
            # The first call is compiled, the second shows how long a step takes.
            self._make(itertools.islice(self._calls(last, 1), 2))
            most = steps_per_call(self._world.broadcast_json(self._seconds))
        self._make(self._calls(last, most))

    def _calls(self, last: int, most: int) -> Iterator[tuple[int, int]]:
        """Return the (first step, number of steps) of each call that is to be made."""
        periods = [period for each in self._callbacks for period in each.periods]
        periods.append(self._strategy.period)
        return calls(self._state.step, last, most, periods)

    def _make(self, planned: Iterable[tuple[int, int]]) -> None:
        """Make calls, each (first step, number of steps)."""
        planned, for_batches = itertools.tee(planned)
        batches = self._batches(for_batches)
        for first, steps in planned:
            with self._timer.measure("input", first):
                samples, *labels = _next(batches, first)
            for callback in reversed(self._callbacks):
                callback.before_call(first)
            began = time.monotonic()
            with self._timer.measure_update(first, steps):
                report = self._strategy.run(samples, tf.constant(first, tf.int64), *labels)
                call = Call(
                    first,
                    steps,
                    report.losses.numpy(),
                    report.skipped.numpy() > 0,
                    bool(report.stop.numpy().any()),
                    report.squares.numpy(),
                )
            self._seconds = (time.monotonic() - began) / steps
            self._state.step = call.last
            self._world.progress = f"after step {call.last}"
            self._strategy.between_calls(call.last)
            for callback in self._callbacks:
                callback.after_call(call)

    def _batches(self, planned: Iterable[tuple[int, int]]) -> Iterator[tuple[tf.Tensor, ...]]:
        """Return the batches of some calls: samples, and labels where the networks take them."""
        # Updates that were lost have used their samples: those that come after them are used now.
        discarded = self._state.discarded
        # A copy for each prefetcher: what it has not given yet is kept for it.
        for_samples, for_labels = itertools.tee(planned)
        samples, *labels = self._prefetchers
        given = [samples.batches((first + discarded, steps) for first, steps in for_samples)]
        for each in labels:  # from the step on to which the networks look back
            windows = (
                (first - min(first, self._staleness), steps + min(first, self._staleness))
                for first, steps in for_labels
            )
            given.append(each.batches((first + discarded, steps) for first, steps in windows))
        return zip(*given, strict=True)


def _label_prefetcher(plan: Plan, per_step: int) -> Prefetcher:
    """Return the prefetcher of the samples' labels."""
    model, assignment = plan.config.model, plan.assignment
    labels = {shard: as_input(model, own) for shard, own in assignment.labels.items()}
    shards = in_memory_shards(plan.config, plan.config.seed, assignment, labels)
    first = next(iter(labels.values()))
    return Prefetcher(shards.values(), per_step, first.shape[1:], first.dtype.name)


def _next(batches: Iterator[tuple[tf.Tensor, ...]], step: int) -> tuple[tf.Tensor, ...]:
    """Return the next batch; files that fail now were right when the run began."""
    try:
        return next(batches)
    except DataError as error:
        raise RunError(
            f"after step {step}: {error}; mend it, and the same command goes on from the newest "
            "checkpoint"
        ) from None
