"""What is wrong when ranks die or stall, by what a rank knows of itself and its peers."""

from __future__ import annotations

import pytest

from hpcgan.training.diagnosis import OwnState, PeerState, diagnose

NOW = 1000.0
LIMIT = 100.0  # seconds


def own(rank: int, calls: int = 4, moved: float = 1.0, meetings: int = 6) -> OwnState:
    """Return this rank, which moved some seconds ago."""
    return OwnState(rank, f"node{rank}", NOW - moved, calls, meetings, step=40)


def other(rank: int, heard: float = 1.0, step: int = 40, is_gone: bool = False) -> PeerState:
    """Return a neighbour that was heard some seconds ago."""
    return PeerState(rank, f"node{rank}", NOW - heard, step, is_gone)


def test_nobody_is_to_blame_while_all_go_on() -> None:
    assert diagnose(own(0), [other(1), other(2, step=50), other(3, heard=84)], LIMIT, NOW) is None
    assert diagnose(own(0), [], LIMIT, NOW) is None


def test_a_rank_whose_connection_ends_has_died() -> None:
    said = diagnose(own(0), [other(1, step=60), other(2, is_gone=True)], LIMIT, NOW)
    assert said == "rank 2 on node2 died after step 60: killed, crashed or out of memory"


@pytest.mark.parametrize(("heard", "is_said"), [(84, False), (86, True)])
def test_a_rank_that_says_nothing_is_silent_before_the_limit_is_over(
    heard: float, is_said: bool
) -> None:
    said = diagnose(own(5), [other(1), other(2, heard=heard)], LIMIT, NOW)
    assert (said is not None) == is_said
    if said:
        assert said.startswith("rank 2 on node2 is silent since step 40, for 86 s")


@pytest.mark.parametrize("rank", [0, 3])
@pytest.mark.parametrize(("moved", "stalls"), [(84, False), (86, True)])
def test_a_rank_that_waits_for_nobody_says_so_itself(rank: int, moved: float, stalls: bool) -> None:
    said = diagnose(own(rank, moved=moved), [other(1)], LIMIT, NOW)
    assert (said is not None) == stalls
    if said:
        assert said.startswith(f"rank {rank} on node{rank} stalls after step 40, for 86 s")
        assert "test_diagnosis.py" in said  # where it is


@pytest.mark.parametrize(
    ("waits", "line"),
    [
        ({"calls": 5}, "the ranks are inside the update after step 40 for 96 s"),
        ({"meetings": 7}, "the ranks wait for one another after step 40 for 96 s"),
    ],
)
def test_ranks_that_wait_for_others_leave_it_to_rank_0_to_give_up(
    waits: dict[str, int], line: str
) -> None:
    assert diagnose(own(1, moved=9999, **waits), [other(0)], LIMIT, NOW) is None
    assert diagnose(own(0, moved=94, **waits), [other(1)], LIMIT, NOW) is None
    said = diagnose(own(0, moved=96, **waits), [other(1)], LIMIT, NOW)
    assert said is not None
    assert said.startswith(line)


@pytest.mark.parametrize(("calls", "moved", "is_said"), [(0, 9999, 0), (1, 599, 0), (1, 601, 1)])
def test_the_start_and_the_first_call_may_take_longer(
    calls: int, moved: float, is_said: int
) -> None:
    assert (diagnose(own(0, calls, moved), [], LIMIT, NOW) is not None) == bool(is_said)


@pytest.mark.parametrize(("calls", "meetings"), [(5, 6), (4, 7)])
def test_a_rank_has_moved_when_it_begins_or_ends_to_wait(calls: int, meetings: int) -> None:
    state = own(1)
    state.note(4, 6, 41, NOW)
    assert (state.moved, state.step) == (NOW - 1, 41)
    state.note(calls, meetings, 42, NOW)
    assert (state.moved, state.step, state.calls, state.meetings) == (NOW, 42, calls, meetings)
