"""What a rank notes of its time, by a clock that is made."""

from __future__ import annotations

from typing import cast

import numpy as np

from hpcgan.parallel.marks import Marks
from hpcgan.training.stopwatch import Stopwatch


class _Noted:
    """Marks of which the newest four are remembered."""

    def __init__(self) -> None:
        self.all: list[tuple[float, float]] = []

    def count(self) -> int:
        return len(self.all)

    def read(self) -> tuple[int, np.ndarray]:
        return len(self.all), np.array(self.all[-4:], np.float64).reshape(-1, 2)


def _watch(noted: _Noted, times: list[float], most_events: int = 0) -> Stopwatch:
    clock = iter(times)
    return Stopwatch(cast(Marks, noted), most_events, lambda: next(clock))


def test_seconds_of_a_part_add_up_until_they_are_reset():
    watch = _watch(_Noted(), [1.0, 2.0, 5.0, 9.0, 10.0, 10.5])
    with watch.doing("input", 0):
        pass
    with watch.doing("journal", 0):
        pass
    with watch.doing("input", 0):
        pass
    assert watch.seconds == {"input": 1.5, "journal": 4.0}
    watch.reset()
    assert watch.seconds == {}
    assert not watch.done


def test_exchanges_are_those_since_the_reset():
    noted = _Noted()
    noted.all = [(1, 2)]
    watch = _watch(noted, [])
    assert watch.exchanges()[0] == 0
    assert watch.exchanges()[1].shape == (0, 2)
    noted.all += [(3, 4), (5, 6)]
    number, times = watch.exchanges()
    assert (number, times.tolist()) == (2, [[3, 4], [5, 6]])
    watch.reset()
    noted.all += [(n, n + 1) for n in range(7, 13)]
    number, times = watch.exchanges()
    assert (number, times[:, 0].tolist()) == (6, [9, 10, 11, 12])


def test_the_timeline_has_each_call_and_its_exchanges_with_their_steps():
    noted = _Noted()
    watch = _watch(noted, [1.0, 2.0, 2.0, 2.00001, 3.0, 4.0], most_events=6)
    with watch.updating(10, 2):  # two steps of two exchanges each
        noted.all = [(1.1, 1.2), (1.3, 1.4), (1.5, 1.6), (1.7, 1.8)]
    with watch.doing("journal", 12):
        pass  # too short to be seen
    with watch.updating(12, 1):
        noted.all += [(3.1, 3.2), (3.3, 3.4)]
    assert list(watch.done) == [(1, 1.0, 2.0, 10), (1, 3.0, 4.0, 12)]
    assert list(watch.exchanged) == [
        (0, 1.1, 1.2, 10),
        (1, 1.3, 1.4, 10),
        (2, 1.5, 1.6, 11),
        (3, 1.7, 1.8, 11),
        (4, 3.1, 3.2, 12),
        (5, 3.3, 3.4, 12),
    ]
