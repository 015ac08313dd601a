"""The sums over all ranks: exact, the same on all, whatever the length."""

from __future__ import annotations

import numpy as np
import pytest

from hpcgan import ring as rings


@pytest.mark.parametrize("length", [1, 7, 64])
def test_the_sum_is_of_all_ranks_times_the_scale(world, ring, length):
    import tensorflow as tf

    own = np.arange(length) + 100.0 * world.rank
    total = sum(np.arange(length) + 100.0 * rank for rank in range(world.size))
    total = np.array(total)
    np.testing.assert_array_equal(ring(tf.constant(own, tf.float32), 0.5), 0.5 * total)


@pytest.mark.parametrize(("dtype", "digits"), [("float16", 11), ("bfloat16", 8)])
def test_a_sum_of_halves_is_rounded_before_it_is_sent_and_once_after(world, dtype, digits):
    """Of all but rank 0's numbers each is half of what could be added to rank 0's in 16 bits."""
    import tensorflow as tf

    exchange = rings.start_half(world, dtype)
    one = 2.0**digits  # from here on, whole numbers that are odd cannot be told
    own = np.array([1.0, one if world.rank == 0 else 1.0, -3.0, 0.1], np.float32)
    total = np.array(exchange(tf.constant(own), 2.0))
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
