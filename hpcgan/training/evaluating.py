"""The callbacks of a run that evaluate its GAN, and act when it has gone wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from hpcgan.errors import Diverged
from hpcgan.evaluation.figures.names import FEWEST
from hpcgan.evaluation.watchdog import Evaluation, signal
from hpcgan.evaluation.while_training import Evaluator, samples_each
from hpcgan.files import json_lines
from hpcgan.gan.state import State
from hpcgan.training.callback import Call, Callback
from hpcgan.training.calls import evaluations_period, is_due
from hpcgan.training.logger import Logger
from hpcgan.training.nonfinite import RollbackRequired
from hpcgan.training.plan import Plan
from hpcgan.training.sharing import Sharing
from hpcgan.training.timer import Timer
from hpcgan.world import World

# Figures that are better the larger they are.
_LARGER = ("recall", "coverage", "diversity")


def is_wanted(plan: Plan) -> bool:
    """Return whether a run is evaluated: it is configured, and the data have samples enough."""
    return plan.config.evaluate.every_steps is not None and samples_each(plan) >= FEWEST


class Evaluating(Callback):
    """Evaluations, before training and then at multiples of a number of steps.

    With ``evaluate.every_steps: auto`` one that would take the run above its budget is left out:
    rank 0 decides that, by its clock, for all.

    Attributes:
        evaluations: all of the run, in their order; the same on all ranks.
        is_new: whether the last call ended with one.
        is_best: whether that is the best of the run, by ``evaluate.best``.
    """

    def __init__(
        self,
        world: World,
        plan: Plan,
        state: State,
        timer: Timer,
        logger: Logger | None,
        sharing: Sharing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare it; data are read before the first call.

        Args:
            world: the ranks.
            plan: of the run.
            state: whose networks are evaluated.
            timer: measures what evaluations cost.
            logger: rank 0's, which is told of them.
            sharing: gives all ranks the whole state.
            clock: gives seconds.
        """
        self._sharing = sharing
        self._world = world
        self._plan = plan
        self._state = state
        self._timer = timer
        self._logger = logger
        self._clock = clock
        self._config = plan.config.evaluate
        self._evaluator: Evaluator | None = None
        self._began = self._spent = self._cost = 0.0
        self._every = evaluations_period(plan.config)
        self.periods = (self._every,)
        self.evaluations: list[Evaluation] = []
        self.is_new = self.is_best = False

    @property
    def floors(self) -> Mapping[str, float]:
        """The figures of real samples."""
        assert self._evaluator is not None
        return self._evaluator.floors

    def before_call(self, first: int) -> None:
        """Read real samples before the first call, and evaluate networks that are not trained."""
        if self._evaluator is not None:
            return
        self._began = began = self._clock()
        with self._timer.measure("evaluate", first):
            self._evaluator = Evaluator(self._world, self._plan, self._state)
        features, floors = self._evaluator.features, self._evaluator.floors
        if self._logger:
            self._logger.note("floors", evaluation=_named(floors, features))
        past = self._world.on_root(lambda: list(_past(self._plan.run_dir, first, features)))
        self.evaluations = [Evaluation(*each) for each in past]
        self._spent = self._clock() - began
        if not first and not self.evaluations:
            figures = self._evaluate(first)
            if self._logger:
                self._logger.note("evaluated", evaluation=_named(figures, features))

    def after_call(self, call: Call) -> None:
        """Evaluate if it is due and within the budget; a run that is to stop has no time for it."""
        assert self._evaluator is not None
        self.is_new = self.is_best = False
        if call.stops or not is_due(self._every, call.last, self._plan.config.train.steps):
            return
        if not self._world.broadcast_json(self._is_within_budget()):
            return
        earlier = [each.figures[self._config.best] for each in self.evaluations if each.step]
        figures = self._evaluate(call.last)
        self.is_new = True
        value = figures[self._config.best]
        is_larger_better = self._config.best in _LARGER
        self.is_best = all(value > each if is_larger_better else value < each for each in earlier)
        if self._logger:
            self._logger.take_evaluation(_named(figures, self._evaluator.features))

    def rewind(self) -> None:
        """Forget the evaluations after the state's step, which has gone back to a checkpoint."""
        self.evaluations = [each for each in self.evaluations if each.step <= self._state.step]

    def _is_within_budget(self) -> bool:
        """Return whether one more evaluation keeps to the budget, if there is one."""
        if self._config.every_steps != "auto":
            return True
        elapsed = self._clock() - self._began
        return self._spent + self._cost <= self._config.budget * elapsed

    def _evaluate(self, step: int) -> Mapping[str, float]:
        """Return rank 0's figures, on all ranks, so that all decide alike."""
        assert self._evaluator is not None
        began = self._clock()
        with self._timer.measure("evaluate", step):
            self._sharing.share()
            figures = self._world.broadcast_json(self._evaluator.evaluate())
        self._cost = self._clock() - began
        self._spent += self._cost
        self.evaluations.append(Evaluation(step, figures))
        return figures


class Watching(Callback):
    """Acts when two evaluations in a row show that the GAN has gone wrong (``watch.collapse``)."""

    def __init__(
        self,
        plan: Plan,
        evaluating: Evaluating,
        logger: Logger | None,
        save: Callable[[], None],
    ) -> None:
        """Prepare it.

        Args:
            plan: of the run.
            evaluating: comes before it among the callbacks.
            logger: rank 0's; None on others.
            save: writes a checkpoint before the run ends; called by all ranks.
        """
        self._action = plan.config.watch.collapse
        self._steps = plan.config.train.steps
        self._evaluating = evaluating
        self._logger = logger
        self._save = save
        self._told: str | None = None

    def reset(self) -> None:
        """Begin anew, from a state that has gone back to a checkpoint."""
        self._told = None

    def after_call(self, call: Call) -> None:
        """Look at the newest evaluations; what shows again was told before.

        Raises:
            Diverged: something is wrong, with ``watch.collapse: stop`` (on all ranks).
            RollbackRequired: the same, with ``rollback``.
        """
        if not self._evaluating.is_new or self._action is None:
            return
        found = signal(self._evaluating.evaluations, self._evaluating.floors, self._steps)
        told, self._told = self._told, found.kind if found else None
        if found is None or found.kind == told:
            return
        why = f"after step {call.last} {found.kind}: {found.words}"
        if self._action == "rollback":
            raise RollbackRequired(why, to_best=True)
        if self._action == "stop":
            self._save()
            raise Diverged(f"{why} (watch.collapse); its checkpoint is written", on_all_ranks=True)
        if self._logger:
            self._logger.warn(why)


def _named(figures: Mapping[str, float], features: str) -> dict[str, float]:
    """Return figures by the names under which they are written: with the features' they are of."""
    return {
        name if name.startswith("auc_") else f"{name}_{features}": value
        for name, value in figures.items()
    }


def _past(run_dir: Path, step: int, features: str) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield the evaluations of a run up to ``step``, as (step, figures), from what it has written.

    Those before training are in its history: a line of metrics.jsonl has losses.
    """
    events = json_lines(run_dir / "history.jsonl", "event", "step", "evaluation")
    untrained = [line for _, line in events if line["event"] == "evaluated" and not line["step"]]
    lines = [line for _, line in json_lines(run_dir / "metrics.jsonl", "step", "evaluation")]
    for line in [*untrained[-1:], *lines]:
        # A run with other samples may have had other features: those figures do not compare.
        if line["step"] <= step and f"frechet_{features}" in line["evaluation"]:
            found = line["evaluation"].items()
            yield line["step"], {name.removesuffix(f"_{features}"): value for name, value in found}
