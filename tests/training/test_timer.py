"""What a rank measures of its time, by a clock that is made."""

from __future__ import annotations

from typing import cast

import numpy as np

from hpcgan.parallel.timer import CollectiveTimer
from hpcgan.training.timer import Timer


class _Collectives:
    """A collective timer that remembers the newest four."""

    def __init__(self) -> None:
        self.all: list[tuple[float, float]] = []

    def count(self) -> int:
        return len(self.all)

    def read(self) -> tuple[int, np.ndarray]:
        return len(self.all), np.array(self.all[-4:], np.float64).reshape(-1, 2)


def _timer(collectives: _Collectives, times: list[float], most_events: int = 0) -> Timer:
    clock = iter(times)
    return Timer(cast(CollectiveTimer, collectives), most_events, lambda: next(clock))


def test_seconds_of_a_part_add_up_until_they_are_reset():
    timer = _timer(_Collectives(), [1.0, 2.0, 5.0, 9.0, 10.0, 10.5])
    with timer.measure("input", 0):
        pass
    with timer.measure("journal", 0):
        pass
    with timer.measure("input", 0):
        pass
    assert timer.seconds == {"input": 1.5, "journal": 4.0}
    timer.reset()
    assert timer.seconds == {}
    assert not timer.done


def test_all_reduces_are_those_since_the_reset():
    collectives = _Collectives()
    collectives.all = [(1, 2)]
    timer = _timer(collectives, [])
    assert timer.collectives()[0] == 0
    assert timer.collectives()[1].shape == (0, 2)
    collectives.all += [(3, 4), (5, 6)]
    number, times = timer.collectives()
    assert (number, times.tolist()) == (2, [[3, 4], [5, 6]])
    timer.reset()
    collectives.all += [(n, n + 1) for n in range(7, 13)]
    number, times = timer.collectives()
    assert (number, times[:, 0].tolist()) == (6, [9, 10, 11, 12])


def test_the_timeline_has_each_call_and_its_all_reduces_with_their_steps():
    collectives = _Collectives()
    timer = _timer(collectives, [1.0, 2.0, 2.0, 2.00001, 3.0, 4.0], most_events=6)
    with timer.measure_update(10, 2):  # two steps of two all-reduces each
        collectives.all = [(1.1, 1.2), (1.3, 1.4), (1.5, 1.6), (1.7, 1.8)]
    with timer.measure("journal", 12):
        pass  # too short to be seen
    with timer.measure_update(12, 1):
        collectives.all += [(3.1, 3.2), (3.3, 3.4)]
    assert list(timer.done) == [(1, 1.0, 2.0, 10), (1, 3.0, 4.0, 12)]
    assert list(timer.reduced) == [
        (0, 1.1, 1.2, 10),
        (1, 1.3, 1.4, 10),
        (2, 1.5, 1.6, 11),
        (3, 1.7, 1.8, 11),
        (4, 3.1, 3.2, 12),
        (5, 3.3, 3.4, 12),
    ]
