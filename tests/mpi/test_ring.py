"""The ring: sums over all ranks or a group, the same on all of them, whatever the length."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from hpcgan.all_reduce import identity
from hpcgan.ring import Ring

_HALVES = pytest.mark.parametrize(("dtype", "digits"), [("float16", 11), ("bfloat16", 8)])


@pytest.mark.parametrize("length", [1, 7, 64])
def test_the_sum_is_of_all_ranks_times_the_scale(world, all_reduce, length):
    own = np.arange(length) + 100.0 * world.rank
    total = sum(np.arange(length) + 100.0 * rank for rank in range(world.size))
    np.testing.assert_array_equal(all_reduce(tf.constant(own, tf.float32), 0.5), 0.5 * total)


def test_long_vectors_are_added_up(world, all_reduce):
    own = tf.range(1000, dtype=tf.float32) * (world.rank + 1)
    total = world.size * (world.size + 1) // 2
    np.testing.assert_array_equal(all_reduce(own), np.arange(1000, dtype=np.float32) * total)


def test_it_works_in_a_compiled_loop(world, all_reduce):
    @tf.function
    def repeated(value):
        for _ in tf.range(5):
            value = all_reduce(value)
        return value

    assert repeated(tf.ones([3])).numpy().tolist() == [float(world.size**5)] * 3


def test_it_leaves_the_ranks_own_vectors_as_they_are(world, all_reduce):
    own = tf.constant([1.0 + world.rank, -3.0, 0.5])
    total = tf.function(lambda vector: all_reduce(vector, 0.25))(own)
    ranks = world.size
    expected = [ranks * (ranks + 1) / 8, -0.75 * ranks, 0.125 * ranks]
    assert total.numpy().tolist() == expected
    assert own.numpy().tolist() == [1.0 + world.rank, -3.0, 0.5]


@_HALVES
def test_a_sum_of_halves_is_rounded_before_it_is_sent_and_once_after(world, ring, dtype, digits):
    """Of all but rank 0's numbers each is half of what could be added to rank 0's in 16 bits."""
    one = 2.0**digits  # from here on, whole numbers that are odd have no place of their own
    own = np.array([1.0, one if world.rank == 0 else 1.0, -3.0, 0.1], np.float32)
    total = np.array(ring.half_all_reduce(dtype)(tf.constant(own), 2.0))
    assert world.gather_json(total.tolist()) == [total.tolist()] * world.size
    if world.size == 1:
        np.testing.assert_array_equal(total, 2 * own)
        return

    def rounded(values):
        return np.array(tf.cast(tf.cast(values, dtype), tf.float32))

    of_ranks = [np.array([1.0, 1.0 if rank else one, -3.0, 0.1]) for rank in range(world.size)]
    expected = rounded(sum(rounded(2 * each) for each in of_ranks))
    np.testing.assert_array_equal(total, expected)
    # Added one by one in 16 bits, the others' 2 would each have been lost.
    assert world.size < 3 or total[1] > 2 * one


@_HALVES
def test_a_sum_of_halves_is_right_within_their_digits(world, ring, dtype, digits):
    _check_halves(world, world, ring.half_all_reduce(dtype), digits)


@_HALVES
def test_a_groups_sum_of_halves_is_right_within_their_digits(world, ring, group, dtype, digits):
    _check_halves(world, group, ring.half_all_reduce(dtype, group), digits)


def _check_halves(world, group, all_reduce, digits):
    """Check the sum over a group of random numbers."""
    # Not a multiple of the ranks; of the fourth decimal place, so that half precision rounds.
    own = np.random.default_rng(world.rank).normal(size=1001).astype(np.float32)
    total = tf.function(lambda vector: all_reduce(vector, 0.5))(tf.constant(own)).numpy()
    everyone = group.gather_json(own.tolist())
    exact = 0.5 * np.sum(everyone, axis=0)
    size = 0.5 * np.sum(np.abs(everyone), axis=0)
    assert total.shape == (1001,)
    if group.size > 1:
        assert (np.abs(total - exact) <= 2.0**-digits * 2 * size).all()
        assert not np.array_equal(total, exact.astype(np.float32))
        # All ranks hold the very same numbers.
        assert group.gather_json(total.tolist()) == [total.tolist()] * group.size
    else:
        assert np.array_equal(total, own / 2)


def test_the_sum_over_a_group_is_that_of_its_ranks(world, ring, group):
    own = np.arange(7) + 100.0 * world.rank
    total = sum(np.arange(7) + 100.0 * rank for rank in group.ranks)
    found = ring.all_reduce(group)(tf.constant(own, tf.float32), 0.5)
    np.testing.assert_array_equal(found, 0.5 * total)


def test_groups_make_as_many_sums_as_they_like_without_the_others(world, ring, group):
    """Inside a compiled loop, where no rank of another group waits."""
    all_reduce, times = ring.all_reduce(group), 10 * group.ranks[0] + 1

    @tf.function
    def repeated(value):
        for _ in tf.range(times):
            value = all_reduce(value, 1.0 / group.size)
        return value

    own = tf.fill([5], float(world.rank))
    assert repeated(own).numpy() == pytest.approx([np.mean(group.ranks)] * 5, rel=1e-5)
    assert ring.all_reduce()(tf.ones([1])).numpy().tolist() == [float(world.size)]


def test_a_rank_is_in_several_groups_at_once(world, ring, group):
    """A sum over the group, and one over all, in each step of a compiled loop."""
    of_group, of_all = ring.all_reduce(group), ring.all_reduce()

    @tf.function
    def repeated(value):
        for _ in tf.range(3):
            value = of_all(of_group(value), 1.0 / world.size)
        return value

    factor = sum(len(ranks) for ranks in world.gather_json(group.ranks)) / world.size
    assert repeated(tf.ones([2])).numpy() == pytest.approx([factor**3] * 2, rel=1e-5)


def test_a_group_of_one_has_no_need_of_horovod(ring, group):
    assert (ring.all_reduce(group) is identity) == (group.size == 1)
    assert (ring.half_all_reduce("float16", group) is identity) == (group.size == 1)


def test_groups_that_horovod_did_not_start_with_are_refused(world, group):
    Ring(world, [group])
    outer = world.split(int(world.rank in (0, world.size - 1)))
    if world.size < 4:  # all groups of so few ranks are there
        Ring(world, [outer])
        return
    with pytest.raises(RuntimeError, match="at its start alone"):
        Ring(world, [outer])
