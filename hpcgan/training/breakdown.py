"""The step breakdown: where the time of the steps between two lines of the log went, on all ranks.

Ranks meet in the all-reduce. A rank that comes early waits there for the slowest one, so an
all-reduce lasts differently long on each rank, and the shortest of these times is the all-reduce's
own: that of the rank that came last. Each rank measures by its own clock, durations only; at a line
of the log rank 0 gathers a few numbers of each, and the durations of the newest all-reduces (a
sample). Where lines follow fast on each other, it does so at some of them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hpcgan.training.timer import PARTS, Timer
from hpcgan.world import World

# All-reduces whose durations are gathered from each rank: 512 bytes.
_SAMPLED = 64
# Seconds between two times that rank 0 gathers them, at least about: ``benchmarks.split`` shows
# that the breakdown then costs less than a percent.
_APART = 1.0


class StepBreakdown(NamedTuple):
    """Seconds that add up to the time of the steps, but for what is between the parts.

    Attributes:
        compute_seconds: in the steps outside of all-reduces; the mean of the ranks.
        exchange_seconds: of the all-reduces themselves.
        wait_seconds: waiting for the slowest rank; the mean of the ranks.
        input_wait_seconds: waiting for samples; the mean of the ranks.
        checkpoint_seconds: of rank 0, for which the others wait; not in wait_seconds.
        journal_seconds: the same, for lines and grids.
        evaluate_seconds: of evaluations, which all ranks make together.
        slowest_rank: the one with the most computation and waiting for samples.
        slowest_rank_behind: how much more these are than the median of the other ranks, as a part
            of it; 0 with one rank.
    """

    compute_seconds: float
    exchange_seconds: float
    wait_seconds: float
    input_wait_seconds: float
    checkpoint_seconds: float
    journal_seconds: float
    evaluate_seconds: float
    slowest_rank: int
    slowest_rank_behind: float


class Breakdowns:
    """The step breakdowns at the lines of the log."""

    def __init__(
        self, world: World, timer: Timer, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin to measure; the clock gives seconds."""
        self._clock = clock
        self._world = world
        self._timer = timer
        self._lines_left = 1  # up to the next that has one; the same on all ranks
        self._lines = 0  # since the last that had
        self._began = clock()

    def at_line(self) -> StepBreakdown | None:
        """Return on rank 0 the breakdown of the time since the last one; None at most fast lines.

        All ranks must call it, at every line: they agree on the next one at which they gather.
        """
        self._lines_left -= 1
        self._lines += 1
        if self._lines_left:
            return None
        found = gather(self._world, self._timer)
        now = self._clock()
        wanted = math.ceil(_APART * self._lines / max(now - self._began, 1e-3))
        self._lines_left = self._world.broadcast_json(wanted)
        self._lines, self._began = 0, now
        return found


def gather(world: World, timer: Timer) -> StepBreakdown | None:
    """Return on rank 0 the breakdown of the time since the last call; None on others.

    All ranks must call it, after the same step.
    """
    number, times = timer.collectives()
    table = world.gather_arrays(own_numbers(timer.seconds, number, times)[np.newaxis])
    timer.reset()
    return None if table is None else break_down(table, number)


def own_numbers(seconds: Mapping[str, float], number: int, times: np.ndarray) -> np.ndarray:
    """Return what rank 0 gathers of a rank, float64.

    Args:
        seconds: of each of ``PARTS``.
        number: of all-reduces that it made.
        times: (all-reduces, 2), when each of the newest of them began and ended.

    Returns:
        The seconds of the parts; those in which an all-reduce was under way, scaled from the newest
        to all; and those of each of the very newest all-reduces.
    """
    exchanging = covered(times) * number / max(1, len(times))
    sampled = times[-_SAMPLED:]
    durations = sampled[:, 1] - sampled[:, 0]
    return np.array([*(seconds.get(part, 0.0) for part in PARTS), exchanging, *durations])


def covered(times: np.ndarray) -> float:
    """Return the seconds within any of the (begin, end) in ``times``, which may overlap."""
    if not len(times):
        return 0.0
    times = times[np.argsort(times[:, 0])]
    reached = np.maximum.accumulate(times[:, 1])
    begins = np.maximum(times[1:, 0], reached[:-1])
    return float(times[0, 1] - times[0, 0] + np.maximum(times[1:, 1] - begins, 0.0).sum())


def break_down(table: np.ndarray, count: int) -> StepBreakdown:
    """Return the breakdown from a ``table`` (ranks, numbers), a row of ``own_numbers`` per rank.

    ``count`` all-reduces were made on each rank.
    """
    ranks = len(table)
    given, update, checkpoint, journal, evaluate, exchanging = table[:, : len(PARTS) + 1].T
    sampled = table[:, len(PARTS) + 1 :]
    own = count * float(sampled.min(axis=0).mean()) if count else 0.0
    own = min(own, float(exchanging.min()))
    alone = float(checkpoint[0] + journal[0])
    wait = float(exchanging.mean()) - own - alone * (ranks - 1) / ranks
    slowest, behind = _slowest((update - exchanging + given).tolist())
    return StepBreakdown(
        compute_seconds=float((update - exchanging).mean()),
        exchange_seconds=own,
        wait_seconds=max(0.0, wait),
        input_wait_seconds=float(given.mean()),
        checkpoint_seconds=float(checkpoint[0]),
        journal_seconds=float(journal[0]),
        evaluate_seconds=float(evaluate[0]),
        slowest_rank=slowest,
        slowest_rank_behind=behind,
    )


def _slowest(busy: Sequence[float]) -> tuple[int, float]:
    """Return the rank with the most work, and how far the others' median is exceeded."""
    slowest = int(np.argmax(busy))
    others = float(np.median(np.delete(busy, slowest))) if len(busy) > 1 else 0.0
    return slowest, busy[slowest] / others - 1 if others else 0.0


def shares(breakdowns: Sequence[StepBreakdown]) -> dict[str, float]:
    """Return each part's share of all the seconds of some breakdowns; all are NaN without any."""
    names = StepBreakdown._fields[: StepBreakdown._fields.index("slowest_rank")]
    sums = {name: sum(getattr(each, name) for each in breakdowns) for name in names}
    whole = sum(sums.values())
    return {
        name.removesuffix("_seconds"): total / whole if whole else float("nan")
        for name, total in sums.items()
    }
