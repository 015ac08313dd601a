"""A checkpoint manager, its clock and its disk, as tests of it make them."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import numpy as np

from hpcgan.checkpoint import Checkpoint
from hpcgan.errors import RunError
from hpcgan.training.checkpoint_manager import CheckpointManager
from hpcgan.training.plan import Plan

LAST = 100
SECONDS = 30  # after which a test that waits for a thread has failed


class Saved:
    """A checkpoint manager, what it uses, and what it has had written."""

    def __init__(self, plan: Plan, state: Any, writings: list[Future[None]]) -> None:
        self.plan = plan
        self.state = state
        self.writings = writings
        self.now = 1000.0
        self.copied = 0.0  # seconds that a copy takes
        self.written: list[int] = []
        self.errors: list[Exception | None] = []  # of the next writes
        self.may_write = threading.Event()
        self.may_write.set()
        self.manager = CheckpointManager(plan, state, lambda: self.now)

    def write(self, given: Checkpoint) -> None:
        """Take the place of ``checkpoint.write``."""
        assert self.may_write.wait(SECONDS)
        error = self.errors.pop(0) if self.errors else None
        if error:
            raise error
        self.written.append(given.step)

    def arrays(self) -> dict[str, dict[str, np.ndarray]]:
        """Take the place of ``State.arrays``."""
        self.now += self.copied
        return {}

    def end_call(self, step: int, due: bool = False) -> None:
        """Come to the end of a call."""
        self.state.step = step
        save_if_due(self.manager, due)

    def settle(self) -> None:
        """Wait until what is being written is written or has failed; nothing is raised."""
        for writing in self.writings:
            writing.exception(SECONDS)


def disk_full() -> RunError:
    return RunError("step.h5: cannot be written: No space left on device; make room")


def save_if_due(manager: CheckpointManager, due: bool) -> None:
    """Save what the manager wants to be saved at the end of a call."""
    if paths := manager.wanted(due):
        manager.save(paths)
