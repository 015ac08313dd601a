"""The comparison of all ranks' networks: when it is made, and which rank it names."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hpcgan.errors import RunError
from hpcgan.training.callback import Call
from hpcgan.training.replica_check import ReplicaCheck
from tests.unmeasured import NOT_MEASURED


def state(more: float = 0.0) -> Any:
    """Return the networks of a rank, whose numbers are by ``more`` larger than others'."""
    arrays = {"generator": {"kernel": np.arange(4.0) + more, "bias": np.zeros(1)}}
    return SimpleNamespace(step=0, variables=lambda: arrays)


# All ranks hold all.
SHARING: Any = SimpleNamespace(held=lambda: ["generator"])


def given_by(rank: int, more: float) -> Any:
    """Return what another rank gives to be compared."""
    given: list[Any] = []
    world: Any = SimpleNamespace(host=f"node{rank}")
    world.gather_json = lambda own: given.append(own) or [own]
    ReplicaCheck(world, state(more), None, SHARING).check()
    return given[0]


class Ranks:
    """The ranks as rank 0 sees them: numbers of the others are by ``more`` larger than its own."""

    host = "node0"

    def __init__(self, *more: float) -> None:
        self.more = more
        self.hosts = [f"node{rank}" for rank in range(len(more) + 1)]
        self.comparisons = 0
        self.state = state()

    def gather_json(self, own: Any) -> list[Any]:
        """Return what every rank gives."""
        self.comparisons += 1
        return [own, *(given_by(rank, more) for rank, more in enumerate(self.more, start=1))]


def made(ranks: Ranks, period: int | None = None) -> ReplicaCheck:
    return ReplicaCheck(ranks, ranks.state, period, SHARING)  # type: ignore[arg-type]


def call(first: int, steps: int) -> Call:
    return Call(first, steps, np.zeros((steps, 2)), np.zeros(steps, bool), False, NOT_MEASURED)


def test_ranks_that_hold_the_same_go_on() -> None:
    ranks = Ranks(0.0, 0.0)
    made(ranks).check()
    assert ranks.comparisons == 1


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ((0.0, 1e-7, 0.0), "rank 2 on node2 differ"),
        ((1.0, 1.0), "rank 0 on node0 differ"),
        ((0.0, 1.0, 0.0, 2.0), "rank 2 on node2, 4 on node4 differ"),
        ((1.0,), "rank 1 on node1 differ"),  # of two nobody knows which is right
    ],
)
def test_those_that_differ_from_most_are_named(more: tuple[float, ...], named: str) -> None:
    ranks = Ranks(*more)
    check = made(ranks)
    ranks.state.step = 7
    with pytest.raises(RunError) as caught:
        check.check()
    assert str(caught.value).startswith(f"after step 7 the networks of {named} from those of ")
    assert caught.value.on_all_ranks


def test_the_last_step_at_which_all_were_the_same_is_named() -> None:
    ranks = Ranks(0.0)
    check = made(ranks)
    ranks.state.step = 20
    check.check()
    ranks.more = (1.0,)
    ranks.state.step = 30
    with pytest.raises(RunError, match="from a checkpoint of step 20 or before"):
        check.check()
    ranks.state.step = 10  # gone back to a checkpoint, which all have read
    check.reset()
    ranks.state.step = 30
    with pytest.raises(RunError, match="from a checkpoint of step 10 or before"):
        check.check()


def test_ranks_are_compared_where_a_multiple_of_the_period_is_passed() -> None:
    ranks = Ranks(0.0)
    check = made(ranks, 10)
    found = []
    for first, steps in [(0, 9), (9, 1), (10, 9), (19, 2), (21, 25), (46, 4)]:
        before = ranks.comparisons
        check.after_call(call(first, steps))
        found.append(ranks.comparisons - before)
    assert found == [0, 1, 0, 1, 1, 1]


def test_without_a_period_they_are_not() -> None:
    ranks = Ranks(1.0)
    made(ranks).after_call(call(0, 1000))
    assert ranks.comparisons == 0


def test_a_group_of_variables_is_compared_among_the_ranks_that_hold_it() -> None:
    def of_rank(groups: list[str], more: float, others: list[Any]) -> Any:
        """Return what a rank gives, or refuse what it and the others give."""
        arrays = {name: {"kernel": np.arange(4.0) + more} for name in ("generator", "judge")}
        own: Any = SimpleNamespace(step=7, variables=lambda: arrays)
        sharing: Any = SimpleNamespace(held=lambda: groups)
        given: list[Any] = []
        world: Any = SimpleNamespace(hosts=[f"node{rank}" for rank in range(5)])
        world.gather_json = lambda each: given.append(each) or [each, *others]
        ReplicaCheck(world, own, None, sharing).check()
        return given[0]

    def both(more: float) -> Any:
        return of_rank(["generator", "judge"], more, [])

    def g(more: float) -> Any:
        return {"generator": both(more)["generator"]}

    def d(more: float) -> Any:
        return {"judge": both(more)["judge"]}

    same = [g(0.0), d(5.0), d(5.0), d(5.0)]
    of_rank(["generator"], 0.0, same)
    with pytest.raises(RunError, match="the networks of rank 3 on node3 differ"):
        of_rank(["generator"], 0.0, [g(0.0), d(5.0), d(6.0), d(5.0)])
    with pytest.raises(RunError, match="the networks of rank 1 on node1 differ"):
        of_rank(["generator"], 0.0, [g(1.0), d(5.0), d(5.0), d(5.0)])
