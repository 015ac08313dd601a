"""``hpcgan train``: a trainer with all that a run has beside it, from first step to last."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from hpcgan import checkpoint
from hpcgan.config import Config
from hpcgan.data.placement import Shard, opened_shards
from hpcgan.errors import Diverged, UserError
from hpcgan.gan.state import State
from hpcgan.parallel import Strategy, making
from hpcgan.parallel.timer import CollectiveTimer
from hpcgan.training import directory, evaluating, timeline
from hpcgan.training.callback import Callback
from hpcgan.training.callbacks import Checkpointing, Logging, StopOnRequest
from hpcgan.training.checkpoint_manager import CheckpointManager
from hpcgan.training.evaluating import Evaluating, Watching
from hpcgan.training.heartbeat import Heartbeat
from hpcgan.training.logger import Logger
from hpcgan.training.nonfinite import NonFinitePolicy, RollbackRequired
from hpcgan.training.plan import Plan
from hpcgan.training.replica_check import ReplicaCheck
from hpcgan.training.resolving import balanced
from hpcgan.training.sharing import Sharing
from hpcgan.training.stop import Request
from hpcgan.training.timer import Timer
from hpcgan.training.trainer import Trainer
from hpcgan.world import World


def train(world: World, plan: Plan, request: Request, keeps_timeline: bool = False) -> None:
    """Train to the last step. All ranks must call it, with the plan that they made together.

    When it returns, or raises what all ranks raise, nothing is being written any more.

    Args:
        world: the ranks.
        plan: the run, in a directory that they hold (``directory.held``).
        request: becomes true when this rank is asked to stop.
        keeps_timeline: whether a timeline of all ranks is written at the end.

    Raises:
        DataError: the samples cannot be loaded or staged (on all ranks).
        RunError: a loss is no longer finite (on all ranks), rank 0 cannot write, or a rank cannot
            read on.
        Stopped: somebody asked for it; the checkpoint is written (on all ranks).
    """
    heartbeat = Heartbeat(world, plan.config.run.stall_seconds)
    with heartbeat.beating():
        train_watched(world, plan, request, heartbeat, keeps_timeline)


def train_watched(
    world: World,
    plan: Plan,
    request: Request,
    heartbeat: Heartbeat,
    keeps_timeline: bool = False,
) -> None:
    """Do what ``train`` does, while a ``heartbeat`` is beating."""
    with opened(world, plan, request, heartbeat, keeps_timeline) as (run, plan, _):
        run.fit(plan.config.train.steps)
        run.close()


@contextmanager
def opened(
    world: World,
    plan: Plan,
    request: Request,
    heartbeat: Heartbeat,
    keeps_timeline: bool = False,
) -> Iterator[tuple[Run, Plan, Compiled]]:
    """Give a run that is ready for its next step, with the plan that it has and its networks.

    All ranks must enter it, with the arguments of ``train_watched``. When a user error leaves it
    nothing is being written any more; else it is the caller who closes the run, or leaves it.
    """
    plan = balanced(world, plan)
    config = plan.config
    state = world.all_or_raise(lambda: State(config, plan.source.sample_shape))
    checkpoint.restore(world, state, plan.found)
    if plan.found:
        plan.found.groups.clear()  # rank 0 would hold the state twice to the end
    with opened_shards(world, config, plan.source, plan.assignment) as shards:
        compiled = compile_step(world, config, state, plan.source.dtype)
        own = shards(config.seed)
        run = Run(world, plan, compiled, own, request, heartbeat, keeps_timeline=keeps_timeline)
        try:
            yield run, plan, compiled
        except UserError as error:
            if error.on_all_ranks:  # any other ends all ranks at once, with their threads
                run.settle()
            raise


class Compiled(NamedTuple):
    """Networks with their compiled training step: of one run, or of several in turn.

    Attributes:
        state: the networks.
        strategy: trains them.
        collectives: when the step was in an exchange.
    """

    state: State
    strategy: Strategy
    collectives: CollectiveTimer


def compile_step(world: World, config: Config, state: State, dtype: str) -> Compiled:
    """Return a state with the training step of ``config``. All ranks must call it.

    ``dtype`` is that of the samples.
    """
    collectives = CollectiveTimer()
    strategy = making.over_ring(world, config, state, dtype, collectives)
    return Compiled(state, strategy, collectives)


class Run:
    """A run under way: its trainer, and what rank 0 writes beside it.

    All public methods are for all ranks, which must call them in the same order.
    """

    def __init__(
        self,
        world: World,
        plan: Plan,
        compiled: Compiled,
        shards: Mapping[int, Shard],
        request: Request,
        heartbeat: Heartbeat,
        clock: Callable[[], float] = time.monotonic,
        keeps_timeline: bool = False,
    ) -> None:
        """Open the log, and make a checkpoint if there is none yet.

        Args:
            world: the ranks.
            plan: of the run.
            compiled: its networks as they are now, with their training step.
            shards: of this rank.
            request: becomes true when this rank is asked to stop.
            heartbeat: is told of each call.
            clock: gives seconds, those of the run alone.
            keeps_timeline: whether a timeline of all ranks is written at the end.
        """
        self._world = world
        self._plan = plan
        self._state, self._strategy, collectives = compiled
        self._keeps_timeline = keeps_timeline
        config, state = plan.config, self._state
        self._sharing = Sharing(world, state, self._strategy)
        self._timer = Timer(collectives, timeline.most_events(world) if keeps_timeline else 0)
        self._logger = (
            Logger(plan, state, world, self._strategy.description, clock) if world.is_root else None
        )
        self._manager = CheckpointManager(plan, state, clock) if world.is_root else None
        # A run that begins from a checkpoint of another directory has none here, too.
        if self._manager and not checkpoint.path_of(plan.checkpoints, state.step).exists():
            self._manager.save_now()
        self._nonfinite = NonFinitePolicy(config.watch, config.train.precision)
        self._replicas = ReplicaCheck(world, state, config.watch.drift_steps, self._sharing)
        callbacks: list[Callback] = [
            heartbeat,  # closest to the call: what stands still elsewhere is this rank's own fault
            self._nonfinite,
            self._replicas,
            Logging(world, plan, self._timer, self._logger, clock),
            Checkpointing(world, plan, self._timer, self._manager, self._sharing, self._is_best),
            StopOnRequest(world, plan, self._strategy, request, self._stop),
        ]
        self._evaluating: Evaluating | None = None
        if evaluating.is_wanted(plan):
            self._evaluating = Evaluating(
                world, plan, state, self._timer, self._logger, self._sharing, clock
            )
            self._watching = Watching(plan, self._evaluating, self._logger, self.save)
            callbacks.insert(3, self._evaluating)  # before the line that has its figures
            callbacks.insert(-1, self._watching)  # after the checkpoint, from which a run goes on
        self._trainer = Trainer(world, plan, state, self._strategy, shards, self._timer, callbacks)

    def fit(self, last: int) -> None:
        """Train from the state's step to ``last``, back at a checkpoint where that is due.

        Raises:
            RunError: as ``train``.
            Stopped: a rank was asked to stop; all ranks raise it after the same step.
        """
        while self._state.step < last:
            try:
                self._trainer.fit(last)
            except RollbackRequired as trouble:
                self._roll_back(str(trouble), trouble.to_best)

    def close(self) -> None:
        """Wait for the last checkpoint and close the log."""
        if self._manager:
            self._manager.close()
        self._write_timeline()
        if self._logger:
            self._logger.close()
        self._world.barrier()

    def save(self) -> None:
        """Write a checkpoint and wait for it. All ranks must call it."""
        self._sharing.share()
        if self._manager:
            self._manager.save_now()

    def note(self, event: str, **facts: Any) -> None:
        """Write to the history what has happened to the run."""
        if self._logger:
            self._logger.note(event, **facts)

    def take_over(self) -> None:
        """Go on from a state that has been changed from outside, after the same step."""
        self._strategy.refresh(self._plan.config)
        self._nonfinite.reset()
        self._replicas.reset()

    def leave(self, why: str) -> None:
        """End the run before its last step; ``why`` if it has not ended by itself."""
        self.settle()
        if self._logger and why:
            self._logger.stop(why)

    def settle(self) -> None:
        """Wait until nothing is being written, when all ranks have raised an error."""
        if self._manager:
            self._manager.settle()

    def _stop(self, why: str) -> None:
        """Write what is left to write when the run stops early."""
        self._write_timeline()
        if self._logger:
            self._logger.stop(why)

    def _is_best(self) -> bool:
        """Return whether an evaluation has just found the state the best of the run."""
        return self._evaluating is not None and self._evaluating.is_best

    def _roll_back(self, why: str, to_best: bool) -> None:
        """Go on from a checkpoint, with other samples and noise and lower learning rates.

        It is the newest one, or the best.

        What was not finite comes from few batches, or from rates that are too high: large language
        models are trained through both in this way (Chowdhery et al., PaLM: Scaling language
        modeling with pathways, 2022, section 5.1). All ranks must call it after the same step.

        Raises:
            Diverged: the run has gone back often enough (on all ranks).
            CheckpointError: there is no checkpoint (on all ranks).
        """
        state = self._state
        rollbacks, drawn = state.rollbacks + 1, state.discarded + state.step
        found = checkpoint.read_together(self._world, lambda: self._good(to_best))
        assert found is not None
        checkpoint.restore(self._world, state, found)
        state.rollbacks, state.discarded = rollbacks, drawn - state.step
        self._world.all_or_raise(lambda: self._check_rollbacks(why))
        self._strategy.refresh(self._plan.config)
        self._nonfinite.reset()
        self._replicas.reset()
        if self._evaluating:
            self._evaluating.rewind()
            self._watching.reset()
        self._timer.reset()
        if self._logger:
            self._logger.rewind(why)
        if self._manager:
            self._manager.save_now()  # a run that is killed now must not try the same again

    def _good(self, best: bool) -> checkpoint.Checkpoint:
        """Return the checkpoint to go back to; rank 0 alone."""
        assert self._manager is not None
        self._manager.wait()
        return directory.go_back(self._plan.checkpoints, best, self._state.step)

    def _check_rollbacks(self, why: str) -> None:
        """Refuse to go back once more than the configuration allows."""
        most = self._plan.config.watch.rollbacks
        if self._state.rollbacks > most:
            raise Diverged(
                f"{why}, and the run has gone back {most} times (watch.rollbacks); start again "
                "with lower learning rates, or another loss"
            )

    def _write_timeline(self) -> None:
        """Write the timeline if there is to be one. All ranks must call it."""
        if self._keeps_timeline:
            path = timeline.write(self._world, self._timer, self._plan.run_dir)
            if self._logger:
                print(f"hpcgan: the timeline of all ranks is {path}", flush=True)
