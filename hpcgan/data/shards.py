"""Which samples a shard holds and in which order: pure functions of integers.

The data is divided into logical shards, each of which is hosted by one rank. A shard walks
through its samples for ever, one shuffled pass (epoch) after the other, and takes the next
``count`` of this stream at every step. So all shards make the same number of steps, however the
data divides, no sample is left out, and the batch of a step is known without the steps before.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def shard_samples(samples: int, shards: int, shard: int) -> range:
    """Return the numbers of the samples that ``shard`` holds: one contiguous range.

    Every sample is in exactly one shard, and the sizes differ by one at most.
    """
    return range(samples * shard // shards, samples * (shard + 1) // shards)


def hosted_shards(shards: int, ranks: int, rank: int) -> range:
    """Return the shards that ``rank`` hosts; the numbers on two ranks differ by one at most."""
    return range(shards * rank // ranks, shards * (rank + 1) // ranks)


def epoch_order(seed: int, shard: int, epoch: int, size: int) -> np.ndarray:
    """Return the order of a shard's samples in one epoch: a permutation of 0..size-1, int64.

    It depends on the arguments alone (Philox, a counter-based generator: Salmon et al., 2011),
    so it is the same wherever the shard is hosted.
    """
    bits = np.random.Philox(np.random.SeedSequence([seed, shard, epoch]))
    return np.random.Generator(bits).permutation(size)


def stream(
    seed: int,
    shard: int,
    size: int,
    start: int,
    count: int,
    order: Callable[[int, int, int, int], np.ndarray] = epoch_order,
) -> np.ndarray:
    """Return ``count`` places in the shard (0..size-1, int64) from place ``start`` of its stream.

    The stream is epoch 0's order, then epoch 1's and so on; ``order`` may be ``epoch_order``
    with a memory.
    """
    epochs = range(start // size, (start + count - 1) // size + 1)
    orders = np.concatenate([order(seed, shard, epoch, size) for epoch in epochs])
    offset = start - epochs.start * size
    return orders[offset : offset + count]
