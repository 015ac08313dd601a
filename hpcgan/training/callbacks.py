"""The callbacks of a run: lines of the log, checkpoints, and the end when somebody asks for it."""

from __future__ import annotations

import time
from collections.abc import Callable

from hpcgan.errors import Stopped
from hpcgan.parallel import Strategy
from hpcgan.training.breakdown import Breakdowns
from hpcgan.training.callback import Call, Callback
from hpcgan.training.calls import evaluations_period, is_due, samples_period
from hpcgan.training.checkpoint_manager import CheckpointManager
from hpcgan.training.logger import Logger
from hpcgan.training.plan import Plan
from hpcgan.training.sharing import Sharing
from hpcgan.training.stop import Request
from hpcgan.training.timer import Timer
from hpcgan.world import World


class Logging(Callback):
    """Lines of metrics and sample grids, by rank 0, with a step breakdown of all ranks."""

    def __init__(
        self,
        world: World,
        plan: Plan,
        timer: Timer,
        logger: Logger | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Log to rank 0's ``logger``; other ranks have none. The clock gives seconds."""
        self._timer = timer
        self._logger = logger
        self._steps = plan.config.train.steps
        self._every, self._samples = plan.config.log.every_steps, samples_period(plan.config)
        self._evaluations = evaluations_period(plan.config)
        self._breakdowns = Breakdowns(world, timer, clock)
        self.periods = (self._every, self._samples)

    def after_call(self, call: Call) -> None:
        """Count the call, and write what is due."""
        periods = (self._every, self._evaluations)
        is_line = any(is_due(each, call.last, self._steps) for each in periods)
        breakdown = self._breakdowns.at_line() if is_line else None
        if not self._logger:
            return
        self._logger.check_place()
        self._logger.count(call)
        with self._timer.measure("journal", call.last):
            if is_line:
                self._logger.log(breakdown)
            if is_due(self._samples, call.last, self._steps):
                self._logger.write_samples()


class Checkpointing(Callback):
    """Checkpoints that are due, by rank 0."""

    def __init__(
        self,
        world: World,
        plan: Plan,
        timer: Timer,
        manager: CheckpointManager | None,
        sharing: Sharing,
        is_best: Callable[[], bool] = lambda: False,
    ) -> None:
        """Have rank 0's ``manager`` write them; other ranks have none.

        Args:
            world: the ranks.
            plan: of the run.
            timer: measures what they cost.
            manager: rank 0's.
            sharing: gives rank 0 what it does not hold.
            is_best: returns whether an evaluation has just found the state the best of the run.
        """
        self._world = world
        self._sharing = sharing
        self._is_best = is_best
        self._timer = timer
        self._manager = manager
        self._steps = plan.config.train.steps
        self._every = plan.config.checkpoint.every_steps
        self.periods = (self._every,)

    def after_call(self, call: Call) -> None:
        """Save the state if it is due, and before the run stops."""
        due, is_best = is_due(self._every, call.last, self._steps), self._is_best()
        manager = self._manager
        with self._timer.measure("checkpoint", call.last):
            paths = manager.wanted(due, is_best) if manager and not call.stops else []
            wanted = call.stops or len(paths) > 0
            # Rank 0 decides for all: it may do so by its clock.
            if self._sharing.is_needed and self._world.broadcast_json(wanted):
                self._sharing.share()
            if manager and call.stops:
                manager.save_now()
            elif manager and paths:
                manager.save(paths)


class StopOnRequest(Callback):
    """The end of a run after the call in which a rank was asked to stop."""

    def __init__(
        self,
        world: World,
        plan: Plan,
        strategy: Strategy,
        request: Request,
        finish: Callable[[str], None],
    ) -> None:
        """Prepare it.

        Args:
            world: the ranks.
            plan: of the run.
            strategy: by which all ranks learn of it.
            request: becomes true when this rank is asked to stop.
            finish: called by all ranks with the reason, before the error is raised.
        """
        self._world = world
        self._steps = plan.config.train.steps
        self._strategy = strategy
        self._request = request
        self._finish = finish

    def before_call(self, first: int) -> None:
        """Pass a request to all ranks."""
        if self._request.is_made():
            self._strategy.request_stop()

    def after_call(self, call: Call) -> None:
        """End the run if it is to stop; its checkpoint is written.

        Raises:
            Stopped: a rank was asked to stop (on all ranks).
        """
        if not call.stops or call.last >= self._steps:
            return
        reasons = self._world.gather_json(self._request.reason)
        why = ", ".join(f"{each} (rank {rank})" for rank, each in enumerate(reasons) if each)
        self._finish(why)
        raise Stopped(
            f"stopped after step {call.last} by {why}; its checkpoint is written: the same command "
            "with --resume auto, the default, goes on"
        )
