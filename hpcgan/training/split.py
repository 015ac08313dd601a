"""Where the time of the steps between two lines of the journal went, over all ranks.

Ranks meet in the exchange. A rank that comes early waits there for the slowest one, so an exchange
takes each rank another time, and the shortest of these is the exchange's own: that of the rank that
came last. Each rank measures by its own clock, durations only; at a line of the journal rank 0
gathers a few numbers of each, and of the exchanges the newest ones (a sample). Where lines come
fast, it does so at some of them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hpcgan.training.stopwatch import PARTS, Stopwatch
from hpcgan.world import World

# Exchanges whose durations are gathered from each rank: 512 bytes.
_SAMPLED = 64
# Seconds between two times that rank 0 gathers them, at least about: it costs a millisecond.
_APART = 1.0


class Split(NamedTuple):
    """Seconds that add up to the time of the steps, but for what is between the parts.

    Attributes:
        compute_seconds: in the update outside of exchanges; the mean of the ranks.
        exchange_seconds: of the exchanges themselves.
        wait_seconds: waiting for the slowest rank; the mean of the ranks.
        input_wait_seconds: waiting for samples; the mean of the ranks.
        checkpoint_seconds: of rank 0, for which the others wait; not in wait_seconds.
        journal_seconds: the same, for lines and grids.
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
    slowest_rank: int
    slowest_rank_behind: float


class Splits:
    """The splits at the lines of the journal."""

    def __init__(self, world: World, stopwatch: Stopwatch) -> None:
        """Begin to measure."""
        self._world = world
        self._stopwatch = stopwatch
        self._lines_left = 1  # up to the next that has a split; the same on all ranks
        self._lines = 0  # since the last that had
        self._began = time.monotonic()

    def at_line(self) -> Split | None:
        """Return on rank 0 the split of the time since the last one; None at most fast lines.

        All ranks must call it, at every line: they agree on the next one at which they gather.
        """
        self._lines_left -= 1
        self._lines += 1
        if self._lines_left:
            return None
        found = gather(self._world, self._stopwatch)
        now = time.monotonic()
        wanted = math.ceil(_APART * self._lines / max(now - self._began, 1e-3))
        self._lines_left = self._world.broadcast_json(wanted)
        self._lines, self._began = 0, now
        return found


def gather(world: World, stopwatch: Stopwatch) -> Split | None:
    """Return on rank 0 the split of the time since the last call; None on others.

    All ranks must call it, after the same step.
    """
    number, times = stopwatch.exchanges()
    table = world.gather_arrays(own_numbers(stopwatch.seconds, number, times)[np.newaxis])
    stopwatch.reset()
    return None if table is None else split(table, number)


def own_numbers(seconds: Mapping[str, float], number: int, times: np.ndarray) -> np.ndarray:
    """Return what a rank tells of itself, float64.

    Args:
        seconds: of each of ``PARTS``.
        number: of exchanges that it made.
        times: (exchanges, 2), when each of the newest of them began and ended.

    Returns:
        The seconds of the parts; those in which an exchange was under way, for all as for the
        newest; and those of each of the very newest exchanges.
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


def split(table: np.ndarray, exchanges: int) -> Split:
    """Return the split from what all ranks tell.

    Args:
        table: (ranks, numbers), a row of ``own_numbers`` a rank.
        exchanges: how many each rank made.
    """
    ranks = len(table)
    given, update, checkpoint, journal, exchanging = table[:, : len(PARTS) + 1].T
    sampled = table[:, len(PARTS) + 1 :]
    own = exchanges * float(sampled.min(axis=0).mean()) if exchanges else 0.0
    own = min(own, float(exchanging.min()))
    alone = float(checkpoint[0] + journal[0])
    wait = float(exchanging.mean()) - own - alone * (ranks - 1) / ranks
    slowest, behind = _slowest((update - exchanging + given).tolist())
    return Split(
        compute_seconds=float((update - exchanging).mean()),
        exchange_seconds=own,
        wait_seconds=max(0.0, wait),
        input_wait_seconds=float(given.mean()),
        checkpoint_seconds=float(checkpoint[0]),
        journal_seconds=float(journal[0]),
        slowest_rank=slowest,
        slowest_rank_behind=behind,
    )


def _slowest(busy: Sequence[float]) -> tuple[int, float]:
    """Return the rank with the most work, and how far the others' median is exceeded."""
    slowest = int(np.argmax(busy))
    others = float(np.median(np.delete(busy, slowest))) if len(busy) > 1 else 0.0
    return slowest, busy[slowest] / others - 1 if others else 0.0


def parts(splits: Sequence[Split]) -> dict[str, float]:
    """Return each part's share of all the seconds of some splits; all are NaN without any."""
    names = Split._fields[: Split._fields.index("slowest_rank")]
    sums = {name: sum(getattr(each, name) for each in splits) for name in names}
    whole = sum(sums.values())
    return {
        name.removesuffix("_seconds"): total / whole if whole else float("nan")
        for name, total in sums.items()
    }
