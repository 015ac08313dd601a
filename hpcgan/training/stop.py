"""What asks a run to stop: signals, its time limit, the end of its Slurm job.

Any rank may be asked. It passes that on in the all-reduce of the next step, and so all ranks learn
of it at the same step, write a checkpoint and end with status 85.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
# Seconds before the end of a Slurm job at which the run stops: for a checkpoint, and the way out.
_MARGIN = 60.0


@contextmanager
def handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Give the signals that stop a run to ``handler`` while inside."""
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


class Request:
    """A wish to stop, on this rank.

    Attributes:
        reason: who asked, for people; None as long as nobody did.
    """

    def __init__(
        self,
        minutes: float | None,
        environment: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin the ``minutes`` that the run may take, None for any.

        In the environment Slurm sets the end of the job; the clock gives seconds since 1970.
        """
        self.reason: str | None = None
        self._clock = clock
        self._ends: list[tuple[float, str]] = []
        if minutes is not None:
            self._ends.append((clock() + 60 * minutes, f"its time limit of {minutes:g} minutes"))
        job_end = environment.get("SLURM_JOB_END_TIME", "")
        if job_end.isdigit():
            self._ends.append((int(job_end) - _MARGIN, "the end of its Slurm job"))

    def is_made(self) -> bool:
        """Return whether this rank has been asked, or its time is over."""
        if self.reason is None:
            now = self._clock()
            self.reason = next((why for end, why in self._ends if now >= end), None)
        return self.reason is not None

    def take(self, reason: str) -> None:
        """Take a wish of others, if there is none yet."""
        if self.reason is None:
            self.reason = reason

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take signals as requests while inside; a second SIGINT ends the process at once."""
        with handling(self._note):
            yield

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        self.reason = signal.Signals(number).name
