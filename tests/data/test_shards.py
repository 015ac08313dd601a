"""Shards: every sample once an epoch, in an order that follows from integers alone."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcgan.data.shards import (
    PooledEpoch,
    divide,
    epoch_order,
    hosted_shards,
    label_entropy,
    pass_length,
    pooled_order,
    stream,
)

totals = st.integers(0, 10_000)
parts = st.integers(1, 50)
seeds = st.integers(0, 2**32 - 1)
small = st.integers(0, 1000)


@given(total=totals, number=parts)
def test_the_hosted_shards_are_all_in_order_and_differ_by_one_at_most(
    total: int, number: int
) -> None:
    ranges = [hosted_shards(total, number, rank) for rank in range(number)]
    assert ranges[0].start == 0
    assert ranges[-1].stop == total
    assert all(one.stop == next_one.start for one, next_one in pairwise(ranges))
    sizes = [len(each) for each in ranges]
    assert sum(sizes) == total
    assert max(sizes) - min(sizes) <= 1


def edges_of(files: list[tuple[int, int]]) -> np.ndarray:
    """Return the edges of files of some samples in chunks of some samples."""
    edges, first = [], 0
    for samples, chunk in files:
        edges += range(first, first + samples, chunk)
        first += samples
    return np.array([*edges, first])


def numbers(slices: list) -> list[int]:
    """Return the samples of slices."""
    return [int(sample) for chunk_slice in slices for sample in chunk_slice]


files = st.lists(st.tuples(st.integers(0, 300), st.integers(1, 70)), min_size=1, max_size=5)
ways = st.sampled_from(["contiguous", "strided", "balanced"])


@given(files, st.integers(1, 20), ways, st.booleans(), st.randoms())
def test_every_sample_is_in_exactly_one_shard_and_a_piece_in_one_chunk(
    files: list, shards: int, way: str, aligned: bool, random
) -> None:
    edges = edges_of(files)
    aligned = aligned and way != "balanced"
    labels = np.array([random.randrange(4) for _ in range(edges[-1])], np.int64)
    divided = divide(way, edges, shards, range(shards), aligned, labels)
    together = [sample for slices in divided.values() for sample in numbers(slices)]
    assert sorted(together) == list(range(edges[-1]))
    for slices in divided.values():
        assert numbers(slices) == sorted(numbers(slices))
        for chunk_slice in slices:
            chunk = np.searchsorted(edges, [chunk_slice[0], chunk_slice[-1]], side="right")
            assert chunk[0] == chunk[1]
    sizes = [len(numbers(slices)) for slices in divided.values()]
    if aligned:
        counts = [len(slices) for slices in divided.values()]
        assert max(counts) - min(counts) <= 1
        whole = {range(a, b) for a, b in pairwise(edges.tolist())}
        assert all(chunk_slice in whole for slices in divided.values() for chunk_slice in slices)
        if len(files) == 1:
            assert max(sizes) - min(sizes) <= files[0][1]
    else:
        assert max(sizes) - min(sizes) <= 1
    # A shard is the same when it is asked for alone: which rank hosts it does not matter.
    for shard in range(shards):
        alone = divide(way, edges, shards, [shard], aligned, labels)[shard]
        assert numbers(alone) == numbers(divided[shard])


@given(st.lists(st.integers(0, 5), min_size=1, max_size=300), st.integers(1, 20))
def test_balanced_shards_hold_each_label_in_proportion_within_one(
    labels: list[int], shards: int
) -> None:
    array = np.array(labels)
    divided = divide("balanced", edges_of([(len(labels), 7)]), shards, range(shards), False, array)
    for label in set(labels):
        counts = [sum(labels[i] == label for i in numbers(slices)) for slices in divided.values()]
        assert max(counts) - min(counts) <= 1
        assert sum(counts) == labels.count(label)


def test_ten_samples_in_four_shards() -> None:
    edges = edges_of([(10, 4)])  # chunks 0-3, 4-7, 8-9

    def lists(way: str, aligned: bool, shards: int, labels: np.ndarray | None = None) -> list:
        divided = divide(way, edges, shards, range(shards), aligned, labels)
        return [[list(chunk_slice) for chunk_slice in slices] for slices in divided.values()]

    assert lists("contiguous", False, 4) == [[[0, 1]], [[2, 3], [4]], [[5, 6]], [[7], [8, 9]]]
    assert lists("strided", False, 4) == [[[0], [4], [8]], [[1], [5], [9]], [[2], [6]], [[3], [7]]]
    assert lists("contiguous", True, 2) == [[[0, 1, 2, 3]], [[4, 5, 6, 7], [8, 9]]]
    assert lists("strided", True, 2) == [[[0, 1, 2, 3], [8, 9]], [[4, 5, 6, 7]]]
    labels = np.array([1, 0, 0, 1, 1, 0, 1, 1, 0, 1])
    # In the order of their labels: 1 2 5 8, 0 3 4 6 7 9, dealt out in turn.
    assert lists("balanced", False, 4, labels) == [
        [[0, 1], [7]],
        [[2, 3], [9]],
        [[4, 5]],
        [[6], [8]],
    ]


@pytest.mark.parametrize(
    ("labels", "bits"),
    [([3, 3, 3], 0.0), ([0, 1], 1.0), ([0, 1, 2, 3] * 5, 2.0), ([0, 0, 0, 1], 0.8112781)],
)
def test_the_entropy_of_labels(labels: list[int], bits: float) -> None:
    assert label_entropy(np.array(labels)) == pytest.approx(bits)


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


@given(st.integers(1, 30), st.data())
def test_the_stream_is_the_beginnings_of_one_epoch_after_the_other(size: int, data) -> None:
    length = data.draw(st.integers(1, size))
    start, count = data.draw(st.integers(0, 100)), data.draw(st.integers(1, 100))

    def order(epoch: int) -> np.ndarray:
        return epoch_order(5, 0, epoch, size)

    epochs = range((start + count) // length + 1)
    whole = np.concatenate([order(epoch)[:length] for epoch in epochs])
    assert stream(order, length, start, count).tolist() == whole[start : start + count].tolist()


@given(st.integers(1, 1000), st.integers(1, 40))
def test_a_pass_wraps_or_drops_less_than_a_batch(size: int, per_step: int) -> None:
    assert pass_length(size, per_step, "wrap") == size
    dropped = pass_length(size, per_step, "drop")
    assert dropped % per_step == 0
    assert 0 <= size - dropped < per_step


sizes_of_pieces = st.lists(st.integers(1, 12), min_size=1, max_size=15)


@given(seeds, small, small, sizes_of_pieces, st.integers(1, 6))
def test_the_windows_hold_every_piece_once_and_every_place_once(
    seed: int, shard: int, epoch: int, sizes: list[int], pool: int
) -> None:
    pooled = PooledEpoch(seed, shard, epoch, np.array(sizes), pool)
    windows = [pooled.window(number) for number in range(pooled.windows)]
    assert sorted(chunk_slice for window in windows for chunk_slice in window.slices) == list(
        range(len(sizes))
    )
    assert all(len(window.slices) == pool for window in windows[:-1])
    first = 0
    for number, window in enumerate(windows):
        count = sum(sizes[chunk_slice] for chunk_slice in window.slices)
        assert window.first == first
        assert sorted(window.places) == list(range(count))
        assert {pooled.find(place) for place in range(first, first + count)} == {number}
        first += count
    again = PooledEpoch(seed, shard, epoch, np.array(sizes), pool).window(pooled.windows - 1)
    assert np.array_equal(again.places, windows[-1].places)


@given(seeds, sizes_of_pieces, st.integers(1, 6))
def test_a_pooled_order_is_a_permutation_made_of_windows(
    seed: int, sizes: list[int], pool: int
) -> None:
    order = pooled_order(seed, 1, 2, np.array(sizes), pool)
    assert sorted(order) == list(range(sum(sizes)))
    pooled = PooledEpoch(seed, 1, 2, np.array(sizes), pool)
    piece_of = np.repeat(np.arange(len(sizes)), sizes)
    for number in range(pooled.windows):
        window = pooled.window(number)
        part = order[window.first : window.first + len(window.places)]
        assert set(piece_of[part]) == set(window.slices)


def test_pooled_orders_differ_between_seeds_shards_and_epochs() -> None:
    sizes = np.full(20, 10)
    keys = [(s, h, e) for s in range(2) for h in range(2) for e in range(2)]
    orders = [tuple(pooled_order(*key, sizes, 4)) for key in keys]
    assert all(one != other for one, other in combinations(orders, 2))


def test_the_pooled_orders_are_those_that_runs_were_made_with() -> None:
    # A change here changes every streamed run.
    assert pooled_order(0, 0, 0, np.array([3, 2, 4]), 2).tolist() == [5, 7, 6, 4, 3, 8, 0, 2, 1]
