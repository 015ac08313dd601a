"""A shard that is read while it is used: chunks in random order through a shuffle pool.

A window of ``pool`` chunks is read at a time, each of them once an epoch, and its samples are
shuffled among themselves as they arrive. While the samples of one window are used, threads read
the next ones. So memory holds three windows of each shard, whatever the size of the data.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hpcgan.data.chunks import ChunkReader
from hpcgan.data.shards import ChunkSlice, PooledEpoch, Window

# Windows being read while one is used: with two, threads never wait for the last of a window.
_AHEAD = 2


@dataclass
class _Loading:
    """A window that is being read.

    Attributes:
        epoch: whose it is.
        number: of the window in the epoch.
        window: what it holds.
        memory: where its samples come to be, in their shuffled order; it may be longer.
        parts: one for each of its slices; all is read when they are done.
    """

    epoch: int
    number: int
    window: Window
    memory: np.ndarray
    parts: list[Future[None]]


class StreamedShard:
    """One shard's endless stream of samples."""

    def __init__(
        self,
        reader: ChunkReader,
        slices: list[ChunkSlice],
        seed: int,
        shard: int,
        pool: int,
        length: int,
        threads: Executor,
    ) -> None:
        """Prepare the stream; nothing is read yet.

        ``pool`` counts the slices of a window; ``length`` the samples of each epoch that are used,
        a pass. The order derives from ``seed`` and the number ``shard``.
        """
        sizes = np.array([len(each) for each in slices])
        self._reader = reader
        self._slices = slices
        self._epoch = lru_cache(maxsize=2)(
            lambda epoch: PooledEpoch(seed, shard, epoch, sizes, pool)
        )
        self._length = length
        self._threads = threads
        self._largest_window = int(np.sort(sizes)[-pool:].sum())
        self._loading: deque[_Loading] = deque()
        self._spare: list[np.ndarray] = []

    def take(self, start: int, out: np.ndarray) -> None:
        """Fill ``out``, (count, *sample_shape), with the samples from ``start`` of the stream.

        Samples that follow those taken last are there already; any others are waited for. To be
        called by one thread at a time.

        Raises:
            DataError: a file cannot be read.
        """
        done = 0
        while done < len(out):
            epoch, place = divmod(start + done, self._length)
            loaded = self._window(epoch, self._epoch(epoch).find(place))
            offset = place - loaded.window.first
            ends = (len(out) - done, len(loaded.window.places) - offset, self._length - place)
            here = min(ends)
            out[done : done + here] = loaded.memory[offset : offset + here]
            done += here

    def _window(self, epoch: int, number: int) -> _Loading:
        """Return a window once it is read, and have the next ones read."""
        wanted = (epoch, number)
        while self._loading and (self._loading[0].epoch, self._loading[0].number) != wanted:
            self._drop()
        if not self._loading:
            self._loading.append(self._load(epoch, number))
        while len(self._loading) <= _AHEAD:
            self._loading.append(self._load(*self._after(self._loading[-1])))
        for part in self._loading[0].parts:
            part.result()
        return self._loading[0]

    def _after(self, loading: _Loading) -> tuple[int, int]:
        """Return the epoch and number of the window that is used after another."""
        following = loading.number + 1
        end = loading.window.first + len(loading.window.places)
        # A pass may end before its last window.
        if following == self._epoch(loading.epoch).windows or end >= self._length:
            return loading.epoch + 1, 0
        return loading.epoch, following

    def _load(self, epoch: int, number: int) -> _Loading:
        """Begin to read a window."""
        window = self._epoch(epoch).window(number)
        source = self._reader.source
        if self._spare:
            memory = self._spare.pop()
        else:
            memory = np.empty((self._largest_window, *source.sample_shape), source.dtype)
        parts = []
        end = 0
        for chunk_slice in (self._slices[number] for number in window.slices):
            begin, end = end, end + len(chunk_slice)
            places = window.places[begin:end]
            parts.append(self._threads.submit(self._read, chunk_slice, places, memory))
        return _Loading(epoch, number, window, memory, parts)

    def _read(self, chunk_slice: ChunkSlice, places: np.ndarray, memory: np.ndarray) -> None:
        """Read a chunk slice and put its samples at their places in the window."""
        np.put(_rows(memory), places, _rows(self._reader.read(chunk_slice)))

    def _drop(self) -> None:
        """Forget the window that was used; its memory is used again."""
        used = self._loading.popleft()
        for part in used.parts:
            part.cancel()
        for part in used.parts:
            if not part.cancelled():
                part.exception()  # waits: nobody may write into the memory any more
        self._spare.append(used.memory)


def _rows(samples: np.ndarray) -> np.ndarray:
    """Return samples as values of one axis, which NumPy moves faster than arrays of many."""
    samples = np.ascontiguousarray(samples)
    row = np.dtype((np.void, samples[0].nbytes))
    return samples.reshape(len(samples), -1).view(row).reshape(-1)
