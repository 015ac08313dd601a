"""What this rank does and how long it takes: for the journal and the timeline."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from hpcgan.parallel.marks import Marks

# What a rank does, one after the other.
PARTS = ("input", "update", "checkpoint", "journal")
# Seconds; what is shorter would not be seen in a timeline.
_SHORTEST = 2e-5


class Stopwatch:
    """The time of one rank.

    Attributes:
        seconds: of each part since ``reset``.
        done: for the timeline, (number of the part, begin, end, step).
        exchanged: for the timeline, (number of the exchange, begin, end, step).
    """

    def __init__(
        self, marks: Marks, most_events: int = 0, clock: Callable[[], float] = time.time
    ) -> None:
        """Begin at 0.

        Args:
            marks: of the exchanges.
            most_events: that are kept for the timeline, the newest; 0 without one.
            clock: gives seconds since 1970.
        """
        self._marks = marks
        self._clock = clock
        self._keeps = most_events > 0
        self._kept = 0  # exchanges of which the timeline knows
        self.done: deque[tuple[int, float, float, int]] = deque(maxlen=most_events)
        self.exchanged: deque[tuple[int, float, float, int]] = deque(maxlen=most_events)
        self.reset()

    def reset(self) -> None:
        """Begin at 0 again; what the timeline has stays."""
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._before = self._marks.count()  # exchanges, until now

    def exchanges(self) -> tuple[int, np.ndarray]:
        """Return how many there were since ``reset``, and the times of the newest of them.

        The times are (number, 2), when each began and ended.
        """
        count, times = self._marks.read()
        return count - self._before, times[max(0, len(times) - count + self._before) :]

    @contextmanager
    def doing(self, part: str, step: int) -> Iterator[None]:
        """Count the time inside as that of ``part``, after ``step`` updates."""
        began = self._clock()
        yield
        ended = self._clock()
        self.seconds[part] += ended - began
        if self._keeps and ended - began >= _SHORTEST:
            self.done.append((PARTS.index(part), began, ended, step))

    @contextmanager
    def updating(self, step: int, steps: int) -> Iterator[None]:
        """Count the time inside as that of a call of the update, of ``steps`` steps."""
        with self.doing("update", step):
            yield
        if self._keeps:
            self._keep_exchanges(step, steps)

    def _keep_exchanges(self, step: int, steps: int) -> None:
        """Keep the exchanges of the last call for the timeline."""
        count, times = self._marks.read()
        made = count - self._kept
        self._kept = count
        for place, (began, ended) in enumerate(times[-made:].tolist() if made else []):
            number = count - min(made, len(times)) + place
            self.exchanged.append((number, began, ended, step + place * steps // made))
