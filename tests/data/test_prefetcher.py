"""The prefetcher: the right samples in the right order, whatever the calls of the update."""

from __future__ import annotations

import numpy as np
import pytest

from hpcgan.data.placement import InMemoryShard
from hpcgan.data.prefetcher import Prefetcher
from hpcgan.data.shards import epoch_order

SEED, PER_STEP = 3, 4
# Shards of different sizes; a pixel tells the shard (hundreds) and the sample in it.
SIZES = {2: 10, 5: 7}
SAMPLES = {
    shard: (100 * shard + np.arange(size, dtype=np.float32)).reshape(size, 1, 1, 1)
    for shard, size in SIZES.items()
}


def resident(samples: np.ndarray, shard: int) -> InMemoryShard:
    """Return a shard in memory."""
    size = len(samples)
    return InMemoryShard(samples, lambda epoch: epoch_order(SEED, shard, epoch, size), size)


def prefetcher() -> Prefetcher:
    shards = [resident(samples, shard) for shard, samples in SAMPLES.items()]
    return Prefetcher(shards, PER_STEP, (1, 1, 1), "float32")


def expected(step: int) -> np.ndarray:
    """Return the pixels of a step, (shards, per_step), from the orders of whole epochs."""
    rows = []
    for shard, size in SIZES.items():
        endless = np.concatenate([epoch_order(SEED, shard, epoch, size) for epoch in range(20)])
        rows.append(100 * shard + endless[step * PER_STEP : (step + 1) * PER_STEP])
    return np.array(rows)


def test_each_batch_holds_the_next_samples_of_every_hosted_shard() -> None:
    calls = [(0, 3), (3, 1), (4, 5), (9, 2)]
    batches = list(prefetcher().batches(calls))
    assert [tuple(batch.shape) for batch in batches] == [
        (steps, 2, PER_STEP, 1, 1, 1) for _, steps in calls
    ]
    taken = np.concatenate([batch.numpy() for batch in batches])[..., 0, 0, 0]
    assert taken.tolist() == [expected(step).tolist() for step in range(11)]


def test_a_run_that_is_resumed_in_the_middle_has_the_batches_of_one_that_was_not() -> None:
    whole = np.concatenate([batch.numpy() for batch in prefetcher().batches([(0, 10), (10, 10)])])
    resumed = np.concatenate([batch.numpy() for batch in prefetcher().batches([(7, 3), (10, 10)])])
    assert np.array_equal(resumed, whole[7:])


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_samples_keep_their_dtype_and_content(dtype: str) -> None:
    samples = np.random.default_rng(0).integers(0, 256, (6, 2, 3, 4, 2)).astype(dtype)
    (batch,) = Prefetcher([resident(samples, 0)], 6, (2, 3, 4, 2), dtype).batches([(0, 1)])
    assert batch.dtype == dtype
    assert np.array_equal(batch.numpy()[0, 0], samples[epoch_order(SEED, 0, 0, 6)])


def test_no_call_gives_no_batch() -> None:
    assert list(prefetcher().batches([])) == []


class Unreadable:
    """A shard whose disk fails."""

    def take(self, start: int, out: np.ndarray) -> None:
        raise OSError("the disk is gone")


def test_an_error_of_the_gathering_thread_reaches_the_caller() -> None:
    broken = Prefetcher([Unreadable()], PER_STEP, (1, 1, 1), "float32")
    with pytest.raises(OSError, match="the disk is gone"):
        next(broken.batches([(0, 1), (1, 1)]))
