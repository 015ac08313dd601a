"""Ranks that watch one another, over real connections."""

from __future__ import annotations

import time

import numpy as np
import pytest

from hpcgan.training import heartbeat
from hpcgan.training.callback import Call
from hpcgan.training.heartbeat import Heartbeat, parent_of
from hpcgan.training.links import own_addresses
from hpcgan.training.stop import Request
from tests.unmeasured import NOT_MEASURED

NOWHERE = "no-such-host.invalid"


@pytest.fixture
def ends(world, monkeypatch):
    """Return what this rank would have ended the run for."""
    found = []
    monkeypatch.setattr(world, "abort", lambda *said: found.append(said))
    return found


@pytest.fixture
def apart(world, monkeypatch):
    """Make each rank a node of its own, whose name no other node can resolve."""
    monkeypatch.setattr(world, "host", NOWHERE)
    monkeypatch.setattr(world, "hosts", [NOWHERE] * world.size)
    monkeypatch.setattr(world, "node_size", 1)
    monkeypatch.setattr(world, "node_ranks", [world.rank])


def tree(world, fan_out):
    """Return the ranks above and below this one."""
    ranks = range(1, world.size)
    below = [rank for rank in ranks if parent_of(rank, fan_out) == world.rank]
    return [parent_of(world.rank, fan_out)] * (world.rank > 0) + below


@pytest.mark.parametrize("fan_out", [1, 2, 32])
def test_ranks_hear_of_one_another_and_leave_in_any_order(world, ends, capfd, fan_out):
    watch = Heartbeat(world, 60, fan_out=fan_out)
    assert watch.neighbours == tree(world, fan_out)
    with watch.beating():
        for step in range(3):
            watch.before_call(step)
            world.barrier()
            watch.after_call(
                Call(step, 1, np.zeros((1, 2)), np.zeros(1, bool), False, NOT_MEASURED)
            )
        world.barrier()
        for place in range(world.size):  # one after the other, the last rank first
            if world.size - 1 - place == world.rank:
                break
            world.barrier()
    for _ in range(world.rank):
        world.barrier()
    assert watch.neighbours == []
    assert (ends, capfd.readouterr().err) == ([], "")


def test_a_wish_to_stop_reaches_ranks_that_have_no_step_in_common(world, ends):
    request = Request(None, {})
    watch = Heartbeat(world, 60, request, fan_out=1)
    with watch.beating():
        if world.rank == world.size - 1:
            request.take("SIGUSR1")
        while not request.is_made():
            time.sleep(0.05)
        world.barrier()
    is_own = world.rank == world.size - 1
    assert request.reason == (
        "SIGUSR1" if is_own else f"a wish of other ranks, through rank {world.rank + 1}"
    )
    assert ends == []


@pytest.mark.skipif(not own_addresses(), reason="this host has no address but loopback")
def test_hosts_whose_names_do_not_resolve_are_found_by_their_addresses(world, ends, apart):
    watch = Heartbeat(world, 60, fan_out=1)
    assert watch.neighbours == tree(world, 1)
    with watch.beating():
        world.barrier()
    assert ends == []


def test_hosts_that_are_not_found_are_printed_once_with_what_to_do(
    world, ends, apart, monkeypatch, capfd
):
    monkeypatch.setattr(heartbeat, "own_addresses", list)
    watch = Heartbeat(world, 60)
    assert watch.neighbours == []
    said = capfd.readouterr().out
    if world.is_root and world.size > 1:
        assert said.startswith(f"hpcgan: warning: rank 1 on {NOWHERE} cannot reach rank 0 on ")
        assert f"({world.size - 1} ranks cannot)" in said
        assert "have their names resolved" in said
    else:
        assert said == ""
    with watch.beating():
        world.barrier()
    assert ends == []


def test_a_rank_is_in_a_meeting_as_long_as_it_waits_for_others(world):
    before = world.meetings
    assert before % 2 == 0
    inside = []
    world.all_or_raise(lambda: inside.append(world.meetings % 2))
    world.on_root(lambda: inside.append(world.meetings % 2))
    assert set(inside) == {0}  # it works by itself
    for meet in (
        world.barrier,
        world.wait_asleep,
        world.clock_offset,
        lambda: world.broadcast_json(1),
        lambda: world.gather_json(1),
        lambda: world.broadcast_array(np.ones(2)),
        lambda: world.gather_arrays(np.ones(2)),
        lambda: world.node_array((2,), "float32"),
    ):
        before = world.meetings
        meet()
        assert world.meetings == before + 2
    if world.is_root:  # while it answers the others, it waits for them
        world.clock_offset(lambda: inside.append(world.meetings % 2) or 0.0)
    else:
        world.clock_offset()
    assert inside[2:] == [1] * (len(inside) - 2)
    assert (len(inside) > 2) == (world.is_root and world.size > 1)
