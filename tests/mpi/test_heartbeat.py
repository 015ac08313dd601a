"""Ranks that watch one another, over real connections."""

from __future__ import annotations

import pytest

from hpcgan.training import heartbeat
from hpcgan.training.heartbeat import Heartbeat


@pytest.fixture
def ends(world, monkeypatch):
    """Return what this rank would have ended the run for."""
    found = []
    monkeypatch.setattr(world, "abort", found.append)
    return found


def test_ranks_hear_of_one_another_and_leave_in_any_order(world, ends, capsys):
    watch = Heartbeat(world, 60)
    assert len(watch._neighbours) == (world.size - 1 if world.is_root else 1)
    with watch.beating():
        for step in range(3):
            with watch.updating(step):
                world.barrier()
        world.barrier()
        for turn in range(world.size):  # one after the other, the last rank first
            if world.size - 1 - turn == world.rank:
                break
            world.barrier()
    for _ in range(world.rank):
        world.barrier()
    assert not watch._thread.is_alive()
    assert (ends, capsys.readouterr().err) == ([], "")


def test_a_rank_that_vanishes_is_named_by_its_neighbour(world, ends, capfd, monkeypatch):
    if world.size == 1:
        return
    monkeypatch.setattr(heartbeat, "_turn", lambda rank: 0.0)
    monkeypatch.setattr(heartbeat, "_ABORT", 1e6)  # nothing ends here
    watch = Heartbeat(world, 60)
    if world.rank == world.size - 1:  # its connections end without a word, as the system's do
        for link in watch._neighbours:
            link.close()
        watch._neighbours.clear()
    world.barrier()
    if world.is_root:
        watch._hear(10.0)
        watch._judge()
        assert ends == [1]
        said = capfd.readouterr().err
        assert f"rank {world.size - 1} on {world.host} died after step 0" in said
    world.barrier()
