"""Shards: every sample once an epoch, in an order that follows from integers alone."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcgan.data.shards import epoch_order, hosted_shards, shard_samples, stream

totals = st.integers(0, 10_000)
parts = st.integers(1, 50)
seeds = st.integers(0, 2**32 - 1)
small = st.integers(0, 1000)


@pytest.mark.parametrize("divide", [shard_samples, hosted_shards])
@given(total=totals, number=parts)
def test_the_parts_are_the_whole_in_order_and_differ_by_one_at_most(
    divide, total: int, number: int
) -> None:
    ranges = [divide(total, number, part) for part in range(number)]
    assert ranges[0].start == 0
    assert ranges[-1].stop == total
    assert all(one.stop == next_one.start for one, next_one in pairwise(ranges))
    sizes = [len(each) for each in ranges]
    assert sum(sizes) == total
    assert max(sizes) - min(sizes) <= 1


def test_ten_samples_in_four_shards() -> None:
    assert [list(shard_samples(10, 4, shard)) for shard in range(4)] == [
        [0, 1],
        [2, 3, 4],
        [5, 6],
        [7, 8, 9],
    ]


def test_five_shards_on_two_ranks() -> None:
    assert [list(hosted_shards(5, 2, rank)) for rank in range(2)] == [[0, 1], [2, 3, 4]]


@given(seeds, small, small, st.integers(1, 500))
def test_an_order_is_a_permutation_and_the_same_when_drawn_again(
    seed: int, shard: int, epoch: int, size: int
) -> None:
    order = epoch_order(seed, shard, epoch, size)
    assert order.dtype == np.int64
    assert sorted(order) == list(range(size))
    assert np.array_equal(order, epoch_order(seed, shard, epoch, size))


def test_an_order_differs_between_seeds_shards_and_epochs() -> None:
    # (1, 2, 0) and (2, 1, 0) as well: the three numbers do not stand for each other.
    keys = [(s, h, e) for s in range(3) for h in range(3) for e in range(3)]
    orders = [tuple(epoch_order(*key, 100)) for key in keys]
    assert all(one != other for one, other in combinations(orders, 2))


def test_the_orders_are_those_that_runs_were_made_with() -> None:
    # A change here changes every run: resumed runs would not go on as they began.
    assert epoch_order(0, 0, 0, 10).tolist() == [8, 0, 3, 7, 6, 4, 1, 5, 2, 9]
    assert epoch_order(1, 2, 3, 10).tolist() == [9, 2, 5, 7, 4, 0, 3, 8, 1, 6]


@given(seeds, small, st.integers(1, 30), st.integers(0, 100), st.integers(1, 100))
def test_the_stream_is_one_epoch_after_the_other(
    seed: int, shard: int, size: int, start: int, count: int
) -> None:
    epochs = range((start + count) // size + 1)
    whole = np.concatenate([epoch_order(seed, shard, epoch, size) for epoch in epochs])
    part = stream(seed, shard, size, start, count)
    assert part.tolist() == whole[start : start + count].tolist()


@given(seeds, st.integers(1, 30), st.integers(1, 7), st.integers(0, 3))
def test_steps_of_any_size_take_every_sample_once_an_epoch(
    seed: int, size: int, per_step: int, epoch: int
) -> None:
    steps = (epoch + 1) * size // per_step + 1
    taken = np.concatenate([stream(seed, 0, size, n * per_step, per_step) for n in range(steps)])
    assert sorted(taken[epoch * size : (epoch + 1) * size]) == list(range(size))


def test_the_stream_asks_the_order_it_is_given() -> None:
    def backwards(seed: int, shard: int, epoch: int, size: int) -> np.ndarray:
        return np.arange(size)[::-1] + 100 * epoch

    assert stream(0, 0, 3, 4, 4, backwards).tolist() == [101, 100, 202, 201]
