"""The collectives of a group, of all ranks or of some, on any number of ranks."""

from __future__ import annotations

import numpy as np
import pytest

from hpcgan.errors import ConfigError, DataError, RunError


def test_all_ranks_get_what_rank_0_holds(world):
    value = {"steps": 3, "names": ["Fréchet", None], "x": 0.1} if world.is_root else "mine"
    assert world.broadcast_json(value) == {"steps": 3, "names": ["Fréchet", None], "x": 0.1}


def test_values_of_different_lengths_are_gathered_by_rank(world):
    assert world.gather_json("x" * world.rank) == ["x" * rank for rank in range(world.size)]


@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8"])
def test_arrays_are_broadcast_exactly_and_the_given_one_stays(world, dtype):
    own = np.arange(12).reshape(3, 4).astype(dtype) + world.rank
    got = world.broadcast_array(own)
    np.testing.assert_array_equal(got, np.arange(12).reshape(3, 4).astype(dtype))
    assert got.dtype == dtype
    assert own[0, 0] == world.rank


def test_a_scalar_array_keeps_its_shape(world):
    assert world.broadcast_array(np.array(world.rank + 5)).shape == ()


def test_arrays_of_different_lengths_are_joined_on_rank_0(world):
    own = np.full((world.rank + 1, 2), world.rank, np.float32)
    joined = world.gather_arrays(own)
    if not world.is_root:
        assert joined is None
        return
    expected = [np.full((rank + 1, 2), rank, np.float32) for rank in range(world.size)]
    np.testing.assert_array_equal(joined, np.concatenate(expected))


def test_rank_0_takes_the_arrays_of_all_ranks_one_after_the_other(world):
    given = [[rank] * rank for rank in range(world.size)]
    got = world.arrays_in_turn(np.array(given[world.rank], np.int64))
    assert [each.tolist() for each in got] == (given if world.is_root else [])


def test_what_is_more_than_a_message_holds_goes_in_pieces(world, monkeypatch):
    monkeypatch.setattr("hpcgan.group.MESSAGE_BYTES", 10)
    everyone = [f"{rank}: " + "text" * rank for rank in range(world.size)]
    assert world.broadcast_json(everyone if world.is_root else None) == everyone
    assert world.gather_json(everyone[world.rank]) == everyone
    array = np.arange(7.0)
    np.testing.assert_array_equal(world.broadcast_array(array * world.is_root), array)
    got = list(world.arrays_in_turn(array + world.rank))
    assert [each[0] for each in got] == (list(range(world.size)) if world.is_root else [])


def test_an_error_of_the_last_rank_is_raised_on_all_and_names_it(world):
    last = world.size - 1

    def work():
        if world.rank == last:
            raise DataError("part.h5: there is no such data file")

    with pytest.raises(DataError) as caught:
        world.all_or_raise(work)
    prefix = f"rank {last} of {world.size}: " if world.size > 1 else ""
    assert str(caught.value) == f"{prefix}part.h5: there is no such data file"
    assert caught.value.on_all_ranks


def test_an_error_of_all_ranks_names_none(world):
    def work():
        raise ConfigError("train.steps is 0")

    with pytest.raises(ConfigError, match=r"^train\.steps is 0$"):
        world.all_or_raise(work)


def test_work_of_all_ranks_returns_each_its_own_result(world):
    assert world.all_or_raise(lambda: world.rank * 2) == world.rank * 2


def test_rank_0_alone_works_and_all_get_its_result_or_error(world):
    calls = []
    assert world.on_root(lambda: calls.append(1) or [1, 2]) == [1, 2]
    assert len(calls) == (1 if world.is_root else 0)

    def fail():
        raise RunError("disk full")

    with pytest.raises(RunError, match=r"^disk full$") as caught:
        world.on_root(fail)
    assert caught.value.on_all_ranks


# --- groups of some ranks --------------------------------------------------------------------


def test_the_ranks_of_a_colour_are_a_group(world):
    group = world.split(world.rank % 2)
    assert group.ranks == list(range(world.rank % 2, world.size, 2))
    assert (group.rank, group.size) == (world.rank // 2, len(group.ranks))


def test_a_group_knows_its_ranks_and_which_is_its_first(world, group):
    assert group.ranks[group.rank] == world.rank
    assert group.is_root == (world.rank == min(group.ranks))
    of_all = world.gather_json(group.ranks)
    assert all(of_all[rank] == ranks for ranks in of_all for rank in ranks)
    assert sorted(rank for ranks in {tuple(each) for each in of_all} for rank in ranks) == list(
        range(world.size)
    )


def test_a_group_is_split_again_into_groups_of_the_same_ranks_of_the_world(world, group):
    part = group.split(group.rank // 2)
    begin = 2 * (group.rank // 2)
    assert part.ranks == group.ranks[begin : begin + 2]
    assert part.gather_json(world.rank) == part.ranks


def test_a_group_of_one_needs_no_other(world):
    alone = world.split(world.rank)
    assert (alone.rank, alone.size, alone.ranks, alone.is_root) == (0, 1, [world.rank], True)
    for _ in range(world.rank):  # each makes another number of calls
        alone.barrier()
        assert alone.broadcast_json(world.rank) == world.rank
        assert alone.gather_json(world.rank) == [world.rank]
        assert alone.gather_arrays(np.array([world.rank])).tolist() == [world.rank]
    assert alone.on_root(lambda: world.rank) == world.rank


def test_groups_meet_as_often_as_they_like_without_the_others(world, group):
    first = group.ranks[0]
    for number in range(5 * first + 1):
        value = [first, number]
        assert group.broadcast_json(value if group.is_root else None) == value
        assert group.gather_json([world.rank, number]) == [[rank, number] for rank in group.ranks]
        own = np.full(3, 10.0 * world.rank + number)
        assert group.broadcast_array(own).tolist() == [10.0 * first + number] * 3
        joined = group.gather_arrays(own[:1])
        expected = [10.0 * rank + number for rank in group.ranks]
        assert (None if joined is None else joined.tolist()) == (
            expected if group.is_root else None
        )
        group.barrier()
    assert world.gather_json(world.rank) == list(range(world.size))


def test_an_error_in_a_group_is_raised_in_that_group_alone_and_names_the_rank(world, group):
    bad = world.size - 1

    def work():
        if world.rank == bad:
            raise DataError("part.h5: there is no such data file")
        return world.rank

    if bad not in group.ranks:
        assert group.all_or_raise(work) == world.rank
        return
    with pytest.raises(DataError) as caught:
        group.all_or_raise(work)
    prefix = f"rank {bad} of {world.size}: " if group.size > 1 else ""
    assert str(caught.value) == f"{prefix}part.h5: there is no such data file"


def test_the_first_rank_of_a_group_works_for_it_alone(world, group):
    def work():
        if world.is_root:
            raise RunError("disk full")
        return world.rank

    if 0 in group.ranks:
        with pytest.raises(RunError, match=r"^disk full$"):
            group.on_root(work)
    else:
        assert group.on_root(work) == group.ranks[0]
