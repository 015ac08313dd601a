"""What this rank does and how long it takes: for the step breakdown and the timeline."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hpcgan.parallel.timer import CollectiveTimer

# What a rank does, one after the other.
PARTS = ("input", "update", "checkpoint", "journal", "evaluate")
# Seconds; what is shorter would not be seen in a timeline.
_SHORTEST = 2e-5


class Timer:
    """The time of one rank.

    Attributes:
        seconds: of each part since ``reset``.
        done: for the timeline, (number of the part, begin, end, step).
        reduced: for the timeline, (number of the all-reduce, begin, end, step).
    """

    def __init__(
        self,
        collectives: CollectiveTimer | None = None,
        most_events: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin at 0, and keep the newest ``most_events`` for a timeline.

        ``collectives`` has the times of the all-reduces, if anybody asks for them; the clock gives
        seconds since 1970.
        """
        self._collectives = collectives
        self._clock = clock
        self._keeps = most_events > 0
        self._kept = 0  # all-reduces that the timeline has
        self.done: deque[tuple[int, float, float, int]] = deque(maxlen=most_events)
        self.reduced: deque[tuple[int, float, float, int]] = deque(maxlen=most_events)
        self.reset()

    def reset(self) -> None:
        """Begin at 0 again; what the timeline has stays."""
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._before = self._collectives.count() if self._collectives else 0

    def collectives(self) -> tuple[int, np.ndarray]:
        """Return how many all-reduces there were since ``reset``, and the times of the newest.

        The times are (number, 2), when each began and ended.
        """
        assert self._collectives is not None
        count, times = self._collectives.read()
        return count - self._before, times[max(0, len(times) - count + self._before) :]

    @contextmanager
    def measure(self, part: str, step: int) -> Iterator[None]:
        """Count the time inside as that of ``part``, after ``step`` steps."""
        began = self._clock()
        yield
        ended = self._clock()
        self.seconds[part] += ended - began
        if self._keeps and ended - began >= _SHORTEST:
            self.done.append((PARTS.index(part), began, ended, step))

    @contextmanager
    def measure_update(self, step: int, steps: int) -> Iterator[None]:
        """Count the time inside as that of a call of ``steps`` steps."""
        with self.measure("update", step):
            yield
        if self._keeps and self._collectives:
            self._keep_collectives(self._collectives, step, steps)

    def _keep_collectives(self, collectives: CollectiveTimer, step: int, steps: int) -> None:
        """Keep the all-reduces of the last call for the timeline."""
        count, times = collectives.read()
        made = count - self._kept
        self._kept = count
        for place, (began, ended) in enumerate(times[-made:].tolist() if made else []):
            number = count - min(made, len(times)) + place
            self.reduced.append((number, began, ended, step + place * steps // made))
