"""Who is to blame when ranks die or stall, by what a rank knows of its neighbours."""

from __future__ import annotations

import socket

import pytest

from hpcgan.training import heartbeat
from hpcgan.training.heartbeat import parent_of
from hpcgan.training.pulse import Pulse, blame

NOW = 1000.0
LIMIT = 100.0  # seconds


def pulse(
    rank: int, moves: int = 4, heard: float = 1.0, moved: float = 1.0, is_gone: bool = False
) -> Pulse:
    """Return a rank that was heard, and moved, so many seconds ago."""
    return Pulse(rank, f"node{rank}", moves, 10 * moves, NOW - heard, NOW - moved, is_gone)


def test_nobody_is_to_blame_while_all_go_on() -> None:
    others = [pulse(1), pulse(2, moves=5), pulse(3, heard=84, moved=99)]
    assert blame(pulse(0), others, LIMIT, NOW) is None
    assert blame(pulse(0), [], LIMIT, NOW) is None


def test_a_rank_whose_connection_ends_has_died() -> None:
    said = blame(pulse(0, moves=6), [pulse(1), pulse(2, is_gone=True)], LIMIT, NOW)
    assert said == "rank 2 on node2 died after step 60: killed, crashed or out of memory"


def test_a_rank_that_says_nothing_is_silent_before_the_limit_is_over() -> None:
    said = blame(pulse(5), [pulse(1), pulse(2, heard=86)], LIMIT, NOW)
    assert said is not None
    assert said.startswith("rank 2 on node2 is silent since step 40, for 86 s")


@pytest.mark.parametrize(("moved", "stalls"), [(84, False), (86, True)])
def test_a_rank_that_hangs_outside_the_update_says_so_itself(moved: float, stalls: bool) -> None:
    said = blame(pulse(3, moved=moved), [pulse(0, moves=5)], LIMIT, NOW)
    assert (said is not None) == stalls
    if said:
        assert said.startswith("rank 3 on node3 stalls after step 50, for 86 s")
        assert "test_heartbeat.py" in said  # where it is


def test_ranks_that_wait_in_the_update_leave_it_to_rank_0_to_give_up() -> None:
    waits = {"moves": 5, "moved": 96}
    assert blame(pulse(1, **waits), [pulse(0, **waits)], LIMIT, NOW) is None
    said = blame(pulse(0, **waits), [pulse(1, **waits)], LIMIT, NOW)
    assert said is not None
    assert said.startswith("the ranks are inside the update after step 50 for 96 s")
    assert blame(pulse(0, moves=5, moved=94), [], LIMIT, NOW) is None


@pytest.mark.parametrize(("moves", "moved", "is_said"), [(0, 9999, 0), (1, 599, 0), (1, 601, 1)])
def test_the_start_and_the_first_call_may_take_longer(
    moves: int, moved: float, is_said: int
) -> None:
    assert (blame(pulse(0, moves, moved=moved), [], LIMIT, NOW) is not None) == bool(is_said)


def test_every_rank_has_one_parent_before_it() -> None:
    assert [parent_of(rank) for rank in (1, 32, 33, 1056, 1057)] == [0, 0, 1, 32, 33]
    assert all(parent_of(rank) < rank for rank in range(1, 5000))


def test_a_rank_takes_note_of_when_another_moved() -> None:
    other = Pulse(1, "node1", heard=0.0)
    other.hear(1, 0, 10.0)
    other.hear(1, 0, 20.0)
    assert (other.moved, other.heard, other.is_updating) == (10.0, 20.0, True)
    other.hear(2, 7, 30.0)
    assert (other.moved, other.step, other.is_updating) == (30.0, 7, False)


@pytest.mark.parametrize(
    ("said", "rank"),
    [(b"t" * 16 + b"\0\0\0\7", 7), (b"u" * 16 + b"\0\0\0\7", None), (b"GET / HTTP/1.1", None)],
)
def test_only_ranks_of_this_run_are_taken_in(said: bytes, rank: int | None) -> None:
    here, there = socket.socketpair()
    with here, there:
        there.sendall(said)
        there.shutdown(socket.SHUT_WR)
        assert heartbeat._greeted(here, b"t" * 16) == rank
