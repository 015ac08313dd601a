"""The calls of the compiled training steps: how many steps each makes, and what is due after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hpcgan.config import Config

# A call lasts about this long: its own cost, some tenths of a millisecond (benchmarks.speed), is
# then nothing beside its steps, and a request to stop, which is seen after a call, is seen soon.
_SECONDS = 0.5
# Where they take a millisecond, these are enough for that; more need memory for their samples.
_MOST_STEPS = 100
# Lines of the log between two evaluations, where checkpoints are made by the clock.
_LINES = 10


def steps_per_call(seconds: float) -> int:
    """Return how many steps a call makes, when a step takes ``seconds``."""
    return max(1, min(_MOST_STEPS, int(_SECONDS / seconds)))


def calls(
    start: int, last: int, most: int, periods: Iterable[int | None] = ()
) -> Iterator[tuple[int, int]]:
    """Yield (first step, number of steps) of each call from ``start`` to ``last``.

    Args:
        start: steps made before.
        last: steps made after the last call.
        most: steps that a call may make.
        periods: at multiples of which a call ends; None for none.
    """
    used = [period for period in periods if period]
    while start < last:
        ends = [start + most, last, *((start // period + 1) * period for period in used)]
        yield start, min(ends) - start
        start = min(ends)


def is_due(period: int | None, step: int, last: int) -> bool:
    """Return whether what happens every ``period`` steps and after the last happens now."""
    return step == last or (period is not None and step % period == 0)


def evaluations_period(config: Config) -> int | None:
    """Return the steps between two evaluations while training; None for none."""
    every = config.evaluate.every_steps
    if every != "auto":
        return every
    return config.checkpoint.every_steps or _LINES * config.log.every_steps


def samples_period(config: Config) -> int | None:
    """Return the steps between two sample grids; None for one at the end."""
    return config.log.samples_every_steps or config.checkpoint.every_steps
