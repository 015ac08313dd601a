"""Measuring several ways of doing one thing so that they can be compared."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median


def rates(ways: Mapping[str, Callable[[], int]], repeats: int) -> dict[str, float]:
    """Return the median rate of each way, in items per second.

    The ways take turns, so that a machine that slows down or speeds up does so for all of them.

    Args:
        ways: each does its work once and returns the number of items that it worked on.
        repeats: turns; one more comes first and is not counted.
    """
    measured: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, work in ways.items():
            start = time.perf_counter()
            items = work()
            if turn:
                measured[name].append(items / (time.perf_counter() - start))
    return {name: median(each) for name, each in measured.items()}
