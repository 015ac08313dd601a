"""Checkpoints written beside the training, by a thread; a bad disk does not end the run at once.

Rank 0 alone has a ``CheckpointManager``. When a checkpoint is due it copies the state and goes on:
a thread writes the copy. What the disk refuses is printed and tried again later, with the state of
then.
"""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from hpcgan import checkpoint, checkpoint_directory
from hpcgan.checkpoint import Checkpoint
from hpcgan.errors import RunError, UserError
from hpcgan.gan.state import State
from hpcgan.training.plan import Plan

# From a failure to the next attempt: long enough for a file server to come back, and for the
# default of three failures to outlast it.
RETRY_SECONDS = 60.0
# With ``every_minutes: auto``, as long as no checkpoint has been made whose cost is known.
_FIRST_INTERVAL = 600.0


class CheckpointManager:
    """Makes the checkpoints of one run.

    All methods are for the training thread. Each raises what went wrong in the writing thread: a
    ``RunError`` when ``checkpoint.failures`` attempts have failed in a row, and any bug.
    """

    def __init__(
        self, plan: Plan, state: State, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Manage the checkpoints of ``state``; ``clock`` gives seconds."""
        self._plan = plan
        self._state = state
        self._clock = clock
        # One thread, so two checkpoints are never written at once.
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._writing: Future[None] | None = None
        self._failed: list[UserError] = []  # since the last that was written
        self._retry_at = -math.inf
        self._saved_at = clock()
        self._cost: float | None = None

    def save_now(self) -> None:
        """Save the state and wait until it is written.

        Before the first step a place that is no good so shows at once; before the run stops
        nothing else is left to do.

        Raises:
            RunError: the checkpoint cannot be written.
        """
        self.save()
        self.wait()
        self._refuse_failure()

    def wanted(self, due: bool, is_best: bool = False) -> list[Path]:
        """Return what to save now, be it by the number of steps (``due``) or by the clock.

        A checkpoint that is due, or the best of the run, waits for the last one to be written.
        """
        if self._writing and (due or is_best or self._writing.done()):
            self.wait()
        paths = [checkpoint.best_path(self._plan.checkpoints)] if is_best else []
        if self._writing is None and self._is_time(due):
            paths.insert(0, self._path)
        return paths

    def save(self, paths: Sequence[Path] = ()) -> None:
        """Copy the state and let the thread write it, when it has written the last one.

        It is written under the names of ``paths``, or as the checkpoint of its step.
        """
        self.wait()
        began = self._clock()
        paths = list(paths) or [self._path]
        self._write_copy(paths)
        if self._path in paths:
            self._saved_at = self._clock()
            self._cost = self._saved_at - began

    @property
    def _path(self) -> Path:
        return checkpoint.path_of(self._plan.checkpoints, self._state.step)

    def _write_copy(self, paths: list[Path]) -> None:
        """Copy the state, and let the thread write it under some names."""
        copied = Checkpoint(
            path=paths[0],
            step=self._state.step,
            images=self._state.step * self._plan.images_per_step,
            config=self._plan.config,
            sample_shape=self._plan.source.sample_shape,
            dtype=self._plan.source.dtype,
            data=self._plan.data,
            rollbacks=self._state.rollbacks,
            discarded=self._state.discarded,
            groups=self._state.arrays(),
            fingerprints=self._plan.fingerprints,
            samples=self._plan.samples,
            ranks=self._plan.ranks,
            values=dict(self._state.values),
            round=self._state.round,
        )
        self._writing = self._thread.submit(self._write, copied, paths)

    def wait(self) -> None:
        """Wait until nothing is being written, and raise what must end the run."""
        if self._writing:
            writing, self._writing = self._writing, None
            writing.result()
        if len(self._failed) >= self._plan.config.checkpoint.failures:
            self._refuse_failure()

    def close(self) -> None:
        """Wait for the last checkpoint.

        Raises:
            RunError: it cannot be written.
        """
        self.wait()
        self._thread.shutdown()
        self._refuse_failure()

    def settle(self) -> None:
        """Wait until nothing is being written, whatever comes of it: another error ends the run."""
        self._thread.shutdown()

    def _refuse_failure(self) -> None:
        """Raise the last failure, if the last checkpoint was not written."""
        if self._failed:
            number = len(self._failed)
            attempts = f" ({number} attempts in a row failed)" if number > 1 else ""
            raise RunError(f"{self._failed[-1]}{attempts}")

    def _is_time(self, due: bool) -> bool:
        """Return whether to save now; the last step's checkpoint waits for nothing."""
        if self._state.step == self._plan.config.train.steps:
            return True
        now = self._clock()
        if self._failed:
            return now >= self._retry_at
        return due or now - self._saved_at >= self._interval()

    def _interval(self) -> float:
        """Return the seconds between two checkpoints that are made by time."""
        config = self._plan.config.checkpoint
        if config.every_minutes is None:
            return math.inf
        if config.every_minutes != "auto":
            return 60 * config.every_minutes
        if self._cost is None:
            return _FIRST_INTERVAL
        return best_interval(self._cost, 3600 * config.mtbf_hours)

    def _write(self, copied: Checkpoint, paths: list[Path]) -> None:
        """Write a checkpoint under some names and delete old ones; the thread's work."""
        config = self._plan.config.checkpoint
        try:
            for path in paths:
                checkpoint.write(dataclasses.replace(copied, path=path))
            written = checkpoint.path_of(self._plan.checkpoints, copied.step)
            if written in paths:
                checkpoint_directory.prune(written, config.keep, config.keep_every)
        except UserError as error:
            self._retry_at = self._clock() + RETRY_SECONDS
            self._failed.append(error)
            # Those of the first and last step, and the last failure allowed, are raised.
            goes_on = 0 < copied.step < self._plan.config.train.steps
            if goes_on and len(self._failed) < config.failures:
                self._warn(error)
        else:
            self._failed.clear()

    def _warn(self, error: UserError) -> None:
        """Print, in one piece beside what the training thread prints, that a checkpoint failed."""
        allowed = self._plan.config.checkpoint.failures
        sys.stdout.write(
            f"hpcgan: warning: {error}; training goes on, and a checkpoint is tried again in "
            f"{RETRY_SECONDS:.0f} s (failure {len(self._failed)} of {allowed})\n"
        )
        sys.stdout.flush()


def best_interval(cost: float, mtbf: float) -> float:
    """Return the seconds of training between two checkpoints that lose the least time.

    It is sqrt(2 C M), for a checkpoint that costs C seconds and a failure every M seconds in the
    mean: with longer intervals more work is lost at a failure, with shorter ones more checkpoints
    are made. J. W. Young, A first order approximation to the optimum checkpoint interval,
    Communications of the ACM 17 (1974); J. T. Daly, A higher order estimate of the optimum
    checkpoint interval for restart dumps, Future Generation Computer Systems 22 (2006), whose
    further terms vanish where C is far below M.
    """
    return math.sqrt(2 * cost * mtbf)
