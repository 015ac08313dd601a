"""Who may ask a run to stop, and when."""

from __future__ import annotations

import os
import signal

import pytest

from hpcgan.training.stop import Request


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_nobody_asks_by_himself() -> None:
    assert not Request(None, {}).is_made()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_signals_ask_while_somebody_listens(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    request = Request(None, {})
    with request.listening():
        assert not request.is_made()
        os.kill(os.getpid(), number)
        assert request.is_made()
    assert request.reason == number.name
    assert signal.getsignal(number) == before


def test_a_second_interrupt_would_end_the_process() -> None:
    with Request(None, {}).listening():
        os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL


def test_the_time_limit_counts_from_the_start() -> None:
    clock = Clock()
    request = Request(2.0, {}, clock)
    clock.now += 119
    assert not request.is_made()
    clock.now += 1
    assert request.is_made()
    assert request.reason == "its time limit of 2 minutes"


def test_a_slurm_job_stops_a_minute_before_its_end() -> None:
    clock = Clock()
    request = Request(None, {"SLURM_JOB_END_TIME": "2000"}, clock)
    clock.now = 1939
    assert not request.is_made()
    clock.now = 1940
    assert request.is_made()
    assert request.reason == "the end of its Slurm job"


def test_what_slurm_does_not_tell_ends_nothing() -> None:
    assert not Request(None, {"SLURM_JOB_END_TIME": "Unknown"}, Clock()).is_made()
