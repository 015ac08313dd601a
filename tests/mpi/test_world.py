"""The collectives of hpcgan.world, on any number of ranks."""

from __future__ import annotations

import os

import numpy as np
import pytest

from hpcgan.errors import ConfigError, DataError, RunError
from hpcgan.ring import Ring_half


def test_every_rank_has_its_own_number(world):
    assert world.gather_json(world.rank) == list(range(world.size))
    assert 0 <= world.node_rank < world.node_size <= world.size
    assert world.cores >= 1
    cores = set().union(*world.gather_json(sorted(os.sched_getaffinity(0))))
    assert world.shares_cores == (world.size > len(cores))


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


def test_rank_0_takes_the_arrays_of_all_ranks_in_turn(world):
    given = [[rank] * rank for rank in range(world.size)]
    got = world.arrays_in_turn(np.array(given[world.rank], np.int64))
    assert [each.tolist() for each in got] == (given if world.is_root else [])


def test_what_is_more_than_a_message_holds_goes_in_pieces(world, monkeypatch):
    monkeypatch.setattr("hpcgan.world.MESSAGE_BYTES", 10)
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
        world.together(work)
    prefix = f"rank {last} of {world.size}: " if world.size > 1 else ""
    assert str(caught.value) == f"{prefix}part.h5: there is no such data file"
    assert caught.value.on_all_ranks


def test_an_error_of_all_ranks_names_none(world):
    def work():
        raise ConfigError("train.steps is 0")

    with pytest.raises(ConfigError, match=r"^train\.steps is 0$"):
        world.together(work)


def test_work_together_returns_each_rank_its_own_result(world):
    assert world.together(lambda: world.rank * 2) == world.rank * 2


def test_rank_0_alone_works_and_all_get_its_result_or_error(world):
    calls = []
    assert world.on_root(lambda: calls.append(1) or [1, 2]) == [1, 2]
    assert len(calls) == (1 if world.is_root else 0)

    def fail():
        raise RunError("disk full")

    with pytest.raises(RunError, match=r"^disk full$") as caught:
        world.on_root(fail)
    assert caught.value.on_all_ranks


def test_the_ring_adds_up_all_ranks(world, ring):
    import tensorflow as tf

    own = tf.range(1000, dtype=tf.float32) * (world.rank + 1)
    total = world.size * (world.size + 1) // 2
    np.testing.assert_array_equal(ring(own), np.arange(1000, dtype=np.float32) * total)


def test_the_ring_works_in_a_compiled_loop(world, ring):
    import tensorflow as tf

    @tf.function
    def repeated(value):
        for _ in tf.range(5):
            value = ring(value)
        return value

    assert repeated(tf.ones([3])).numpy().tolist() == [float(world.size**5)] * 3


def test_the_ring_adds_up_all_ranks_scaled_vectors_and_leaves_them_as_they_are(world, ring):
    import tensorflow as tf

    own = tf.constant([1.0 + world.rank, -3.0, 0.5])
    total = tf.function(lambda vector: ring(vector, 0.25))(own)
    ranks = world.size
    expected = [ranks * (ranks + 1) / 8, -0.75 * ranks, 0.125 * ranks]
    assert total.numpy().tolist() == expected
    assert own.numpy().tolist() == [1.0 + world.rank, -3.0, 0.5]


@pytest.mark.parametrize(("dtype", "digits"), [("float16", 11), ("bfloat16", 8)])
def test_the_half_ring_adds_up_all_ranks_within_its_digits(world, dtype, digits):
    import tensorflow as tf

    # Not a multiple of the ranks; of the fourth decimal place, so that half precision rounds.
    own = np.random.default_rng(world.rank).normal(size=1001).astype(np.float32)
    exchange = start_half(world, dtype)
    total = tf.function(lambda vector: exchange(vector, 0.5))(tf.constant(own)).numpy()
    everyone = world.gather_json(own.tolist())
    exact = 0.5 * np.sum(everyone, axis=0)
    size = 0.5 * np.sum(np.abs(everyone), axis=0)
    assert total.shape == (1001,)
    if world.size > 1:
        assert (np.abs(total - exact) <= 2.0**-digits * 2 * size).all()
        assert not np.array_equal(total, exact.astype(np.float32))
        # All ranks hold the very same numbers.
        assert world.gather_json(total.tolist()) == [total.tolist()] * world.size
    else:
        assert np.array_equal(total, own / 2)
