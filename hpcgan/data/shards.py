"""Which samples a shard holds and in which order: pure functions of integers.

The data is divided into logical shards, each of which is hosted by one rank. A shard walks
through its samples endlessly, one shuffled pass (epoch) after the other, and takes the next
``count`` of this stream at every step. So all shards make the same number of steps, however the
data divides, no sample is left out, and the batch of a step is known without the steps before.

A *chunk* is what is read from a file at once: samples that follow one another. ``offsets`` are the
numbers of the first samples of all chunks of all files, and N at the end. A *chunk slice* is what a
shard holds of one chunk: ascending numbers of samples, as a range or an array.

All randomness is Philox's, a counter-based generator (Salmon et al., "Parallel random numbers: as
easy as 1, 2, 3", 2011), keyed by the seed, the shard and the epoch: an order is the same wherever
the shard is hosted, and drawn without those before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

ChunkSlice = range | np.ndarray
Partition = Literal["contiguous", "strided", "balanced"]

# What follows (seed, shard, epoch) in the key of an order of chunks, and of a window's samples.
_CHUNKS, _WINDOW = 1, 2


def hosted_shards(shards: int, ranks: int, rank: int) -> range:
    """Return the shards that ``rank`` hosts; the numbers on two ranks differ by one at most."""
    return range(shards * rank // ranks, shards * (rank + 1) // ranks)


def divide(
    partition: Partition,
    offsets: np.ndarray,
    shards: int,
    wanted: Iterable[int],
    aligned: bool = False,
    labels: np.ndarray | None = None,
) -> dict[int, list[ChunkSlice]]:
    """Return the chunk slices of some of the shards; every sample is in exactly one shard.

    Args:
        partition: contiguous (neighbours stay together), strided (dealt out in turn) or balanced
            (dealt out in turn in the order of their labels, so that each shard gets each label in
            the data's proportion, within one sample).
        offsets: first samples of the chunks and N, int64, ascending.
        shards: the number of shards.
        wanted: those whose slices are returned.
        aligned: whether whole chunks are divided instead of samples. Then the numbers of chunks
            of two shards differ by one at most, else the numbers of samples do.
        labels: (N,), which only ``balanced`` needs.
    """
    samples, chunks = int(offsets[-1]), len(offsets) - 1
    if partition == "balanced":
        assert labels is not None
        assert not aligned
        by_label = np.argsort(labels, kind="stable")
        return {shard: _cut(np.sort(by_label[shard::shards]), offsets) for shard in wanted}
    units = chunks if aligned else samples
    slices: dict[int, list[ChunkSlice]] = {}
    for shard in wanted:
        if partition == "contiguous":
            own = range(units * shard // shards, units * (shard + 1) // shards)
        else:
            own = range(shard, units, shards)
        if aligned:
            slices[shard] = [range(int(offsets[chunk]), int(offsets[chunk + 1])) for chunk in own]
        else:
            slices[shard] = _cut(own, offsets)
    return slices


def _cut(samples: ChunkSlice, offsets: np.ndarray) -> list[ChunkSlice]:
    """Return ascending samples as slices, one for each chunk that holds any of them."""
    if len(samples) == 0:
        return []
    touched = np.searchsorted(offsets, [samples[0], samples[-1]], side="right")
    between = offsets[touched[0] : touched[1]]
    if isinstance(samples, range):
        ends = -((samples.start - between) // samples.step)
    else:
        ends = np.searchsorted(samples, between)
    bounds = [0, *ends.tolist(), len(samples)]
    slices = [samples[a:b] for a, b in pairwise(bounds)]
    return [each for each in slices if len(each)]


def label_entropy(labels: np.ndarray) -> float:
    """Return the entropy of the labels' distribution in bits: 0 for one label alone."""
    _, counts = np.unique(labels, return_counts=True)
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum()) + 0.0


def pass_length(size: int, per_step: int, uneven: Literal["wrap", "drop"]) -> int:
    """Return the samples that a shard takes in one pass.

    wrap: all of them; the last batch of a pass is filled up from the next pass, which so begins
    early. drop: whole batches; fewer samples than a batch are left out, others in each pass.
    """
    return size if uneven == "wrap" else size - size % per_step


def stream(order: Callable[[int], np.ndarray], length: int, start: int, count: int) -> np.ndarray:
    """Return ``count`` places in a shard, int64, from place ``start`` of its endless stream.

    Args:
        order: the shard's order in an epoch.
        length: places of each order that are used, a pass.
        start: places of the stream before.
        count: at least 1.
    """
    epochs = range(start // length, (start + count - 1) // length + 1)
    orders = np.concatenate([order(epoch)[:length] for epoch in epochs])
    offset = start - epochs.start * length
    return orders[offset : offset + count]


def epoch_order(seed: int, shard: int, epoch: int, size: int) -> np.ndarray:
    """Return the order of a shard's samples in one epoch: a permutation of 0..size-1, int64."""
    return _generator(seed, shard, epoch).permutation(size)


@dataclass(frozen=True)
class Window:
    """A pool's worth of an epoch: the samples of some slices, shuffled among themselves.

    Attributes:
        first: places of the epoch before this window.
        slices: numbers of its slices, int64, in the order in which ``places`` counts samples.
        places: where in the window each sample goes: a permutation, int64.
    """

    first: int
    slices: np.ndarray
    places: np.ndarray


class PooledEpoch:
    """An epoch whose slices are read in random order, a pool of them at a time.

    It is a sequence of windows. To go on in the middle of it, one window has to be read.
    """

    def __init__(self, seed: int, shard: int, epoch: int, sizes: np.ndarray, pool: int) -> None:
        """Draw the order of the slices.

        ``sizes`` are the samples of each slice of the shard, int64; ``pool`` counts the slices of a
        window, of which the last one may have fewer.
        """
        self._key = (seed, shard, epoch)
        self._pool = pool
        self._slices = _generator(*self._key, _CHUNKS).permutation(len(sizes))
        begins = np.arange(0, len(sizes), pool)
        self._sizes = np.add.reduceat(sizes[self._slices], begins)
        self._firsts = np.cumsum(self._sizes) - self._sizes

    @property
    def windows(self) -> int:
        """The number of windows."""
        return len(self._sizes)

    def find(self, place: int) -> int:
        """Return the number of the window that holds ``place`` of the epoch."""
        return int(np.searchsorted(self._firsts, place, side="right")) - 1

    def window(self, number: int) -> Window:
        """Return a window, 0 to ``windows`` - 1."""
        places = _generator(*self._key, _WINDOW, number).permutation(int(self._sizes[number]))
        slices = self._slices[number * self._pool : (number + 1) * self._pool]
        return Window(int(self._firsts[number]), slices, places)


def pooled_order(seed: int, shard: int, epoch: int, sizes: np.ndarray, pool: int) -> np.ndarray:
    """Return the order that an epoch's windows give: a permutation of 0..size-1, int64."""
    begins = np.cumsum(sizes) - sizes
    order = np.empty(int(sizes.sum()), np.int64)
    pooled = PooledEpoch(seed, shard, epoch, sizes, pool)
    for number in range(pooled.windows):
        part = pooled.window(number)
        samples = [np.arange(begins[each], begins[each] + sizes[each]) for each in part.slices]
        order[part.first + part.places] = np.concatenate(samples)
    return order


def _generator(*key: int) -> np.random.Generator:
    """Return the random numbers that belong to a key."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
