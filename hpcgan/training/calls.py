"""The calls of the compiled update: how many steps each makes, and what is due after it."""

from __future__ import annotations

from collections.abc import Iterator

from hpcgan.config import Config

# About so long a call lasts: its own cost, some tenths of a millisecond, is then nothing beside its
# steps, and a wish to stop, which is heard after a call, is heard soon.
_SECONDS = 0.5
# Where they take a millisecond, these are enough for that; more need memory for their samples.
_MOST_STEPS = 100


def steps_a_call(seconds: float) -> int:
    """Return how many steps a call of the update makes, when a step takes so many seconds."""
    return max(1, min(_MOST_STEPS, int(_SECONDS / seconds)))


def spans(config: Config, start: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield (first step, number of steps) of each call of the update, of ``most`` steps at most."""
    periods = [config.log.every_steps, samples_period(config), config.checkpoint.every_steps]
    while start < config.train.steps:
        ends = [start + most, config.train.steps]
        end = min(ends + [(start // period + 1) * period for period in periods if period])
        yield start, end - start
        start = end


def is_due(period: int | None, step: int, config: Config) -> bool:
    """Return whether what happens every ``period`` steps and at the end happens now."""
    return step == config.train.steps or (period is not None and step % period == 0)


def samples_period(config: Config) -> int | None:
    """Return the steps between two sample grids; None for one at the end."""
    return config.log.samples_every_steps or config.checkpoint.every_steps
