"""A step after the other with drawn compute times: what the model expects, made to happen."""

from __future__ import annotations

import numpy as np

from hpcgan.scaling.model import (
    Machine,
    Work,
    checkpoint_seconds,
    read_seconds,
    visible_exchange,
)


def simulate(
    machine: Machine, work: Work, ranks: int, steps: int, generator: np.random.Generator
) -> np.ndarray:
    """Return the seconds of each of ``steps`` steps.

    Every rank draws its compute time from the gamma distribution of ``model.slowest_of``; all wait
    for the slowest, then for the exchange, for samples that the file system has not given yet (it
    reads ahead without a bound), and after every so many steps for a checkpoint.

    Args:
        machine: where the ranks are.
        work: what they do.
        ranks: how many; memory is needed for a float64 of each.
        steps: how many.
        generator: of the draws.

    Returns:
        (steps,), float64.
    """
    seconds = np.empty(steps)
    now = ready = 0.0
    reading = read_seconds(machine, work, ranks)
    for number in range(steps):
        start = now
        ready += reading
        slowest = _slowest(work, ranks, generator)
        now += slowest + visible_exchange(machine, work, ranks, slowest)
        now = max(now, ready)
        if work.checkpoint_every and (number + 1) % work.checkpoint_every == 0:
            pause = checkpoint_seconds(machine, work)
            now += pause
            ready += pause  # the pause is the disk's: nothing is read ahead meanwhile
        seconds[number] = now - start
    return seconds


def _slowest(work: Work, ranks: int, generator: np.random.Generator) -> float:
    """Return the largest of the ranks' drawn compute times."""
    if work.variation == 0:
        return work.compute
    shape = work.variation**-2
    return float(work.compute / shape * generator.standard_gamma(shape, ranks).max())
