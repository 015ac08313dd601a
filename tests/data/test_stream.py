"""A streamed shard: the same samples as in memory, each chunk read once an epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcgan.data.placement import InMemoryShard
from hpcgan.data.shards import ChunkSlice, pass_length, pooled_order
from hpcgan.data.source import Source
from hpcgan.data.stream import StreamedShard
from hpcgan.errors import DataError

SEED, SHARD = 7, 3


class Numbers:
    """Reads samples that are their own numbers, and counts how often."""

    def __init__(self, samples: int) -> None:
        self.source = Source((), (samples,), (1,), "images", None, (1, 1, 1), "float32")
        self.reads: Counter[int] = Counter()
        self.broken: set[int] = set()

    def read(self, chunk_slice: ChunkSlice) -> np.ndarray:
        self.reads[int(chunk_slice[0])] += 1
        if int(chunk_slice[0]) in self.broken:
            raise DataError(f"sample {chunk_slice[0]} is gone")
        return np.array(chunk_slice, np.float32).reshape(-1, 1, 1, 1)


def slices_of(sizes: list[int]) -> list[ChunkSlice]:
    """Return slices of some sizes, one after the other."""
    ends = np.cumsum(sizes).tolist()
    return [range(end - size, end) for size, end in zip(sizes, ends, strict=True)]


def take(shard: StreamedShard | InMemoryShard, start: int, count: int) -> np.ndarray:
    """Return samples of a shard's stream."""
    out = np.full((count, 1, 1, 1), -1, np.float32)
    shard.take(start, out)
    return out


@pytest.fixture(scope="module")
def threads():
    with ThreadPoolExecutor(3) as workers:
        yield workers


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    pool=st.integers(1, 5),
    takes=st.lists(st.integers(1, 25), min_size=1, max_size=8),
    start=st.integers(0, 60),
    uneven=st.sampled_from(["wrap", "drop"]),
)
def test_it_gives_what_the_same_order_gives_in_memory(
    threads, sizes: list[int], pool: int, takes: list[int], start: int, uneven
) -> None:
    total = sum(sizes)
    length = pass_length(total, min(total, 4), uneven)
    numbers = Numbers(total)
    streamed = StreamedShard(numbers, slices_of(sizes), SEED, SHARD, pool, length, threads)
    resident = InMemoryShard(
        np.arange(total, dtype=np.float32).reshape(-1, 1, 1, 1),
        lambda epoch: pooled_order(SEED, SHARD, epoch, np.array(sizes), pool),
        length,
    )
    for count in takes:
        np.testing.assert_array_equal(take(streamed, start, count), take(resident, start, count))
        start += count


def test_each_chunk_is_read_once_an_epoch(threads) -> None:
    sizes = [4] * 10
    numbers = Numbers(40)
    streamed = StreamedShard(numbers, slices_of(sizes), SEED, SHARD, 3, 40, threads)
    for epoch in range(3):
        taken = [take(streamed, 40 * epoch + n, 5) for n in range(0, 40, 5)]
        assert sorted(np.concatenate(taken).ravel()) == list(range(40))
    threads.submit(lambda: None).result()
    # Three epochs, and at most two windows of the next one ahead.
    assert all(3 <= count <= 4 for count in numbers.reads.values())
    assert sum(numbers.reads.values()) <= 30 + 2 * 3


def test_going_on_in_the_middle_reads_no_more_than_a_pool_first(threads) -> None:
    numbers = Numbers(40)
    with ThreadPoolExecutor(1) as one:
        streamed = StreamedShard(numbers, slices_of([4] * 10), SEED, SHARD, 3, 40, one)
        read_before: list[int] = []
        original = numbers.read

        def read(chunk_slice: ChunkSlice) -> np.ndarray:
            read_before.append(int(chunk_slice[0]))
            return original(chunk_slice)

        numbers.read = read  # type: ignore[method-assign]
        went_on = take(streamed, 40 + 17, 3)
        order = pooled_order(SEED, SHARD, 1, np.full(10, 4), 3)
        np.testing.assert_array_equal(went_on.ravel(), order[17:20])
        # The one thread reads in the order asked for: this window's three chunks come first.
        needed = {4 * (sample // 4) for sample in order[12:24]}
        assert set(read_before[:3]) == needed


def test_an_error_of_a_reading_thread_reaches_the_taker(threads) -> None:
    numbers = Numbers(40)
    numbers.broken = {8}
    streamed = StreamedShard(numbers, slices_of([4] * 10), SEED, SHARD, 2, 40, threads)
    with pytest.raises(DataError, match="sample 8 is gone"):
        take(streamed, 0, 40)


class Waited(Future):
    """Work that has begun, and is done when somebody waits for it."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__()
        self.set_running_or_notify_cancel()
        self.work = work

    def result(self, timeout: float | None = None) -> Any:
        if not self.done():
            self.set_result(self.work())
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self.result()
        return super().exception(timeout)


class Late(Executor):
    """A thread that is never in time."""

    def __init__(self) -> None:
        self.given: list[Waited] = []

    def submit(self, function: Callable[..., Any], *words: Any) -> Waited:
        self.given.append(Waited(lambda: function(*words)))
        return self.given[-1]


def test_memory_is_not_used_again_while_it_is_being_written() -> None:
    late = Late()
    shard = StreamedShard(Numbers(24), slices_of([4] * 6), SEED, SHARD, 1, 24, late)
    take(shard, 0, 1)
    assert [each.done() for each in late.given] == [True, False, False]
    take(shard, 20, 1)
    assert all(each.done() for each in late.given[:4])


def test_a_pass_that_ends_before_its_last_window_does_not_read_it() -> None:
    late = Late()
    shard = StreamedShard(Numbers(12), slices_of([4] * 3), SEED, SHARD, 1, 8, late)
    take(shard, 0, 16)
    assert len(late.given) == 4 + 2  # two windows of each of two passes, and two ahead
