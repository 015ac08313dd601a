"""Where the samples are while a run uses them: in memory, once per node, or streamed from files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Protocol

import numpy as np

from hpcgan.config import Config, DataConfig
from hpcgan.data import value_range
from hpcgan.data.assignment import ShardAssignment
from hpcgan.data.chunks import ChunkReader
from hpcgan.data.shards import ChunkSlice, epoch_order, pass_length, pooled_order, stream
from hpcgan.data.source import Source
from hpcgan.data.stage import staged
from hpcgan.data.stream import StreamedShard
from hpcgan.data.value_range import Span
from hpcgan.world import World


class Shard(Protocol):
    """One shard's endless stream of samples."""

    def take(self, start: int, out: np.ndarray) -> None:
        """Fill ``out``, (count, *sample_shape), with the samples from ``start`` of the stream."""


class InMemoryShard:
    """A shard whose samples are all in memory."""

    def __init__(
        self, samples: np.ndarray, order: Callable[[int], np.ndarray], length: int
    ) -> None:
        """Prepare the stream.

        Args:
            samples: (n, *sample_shape).
            order: gives an epoch's order, a permutation of 0..n-1.
            length: places of each order that are used, a pass.
        """
        self._samples = samples
        # An order is needed at each step of its epoch, and drawing it costs more than a batch.
        self._order = lru_cache(maxsize=2)(order)
        self._length = length

    def take(self, start: int, out: np.ndarray) -> None:
        """Fill ``out``, (count, *sample_shape), with the samples from ``start`` of the stream."""
        places = stream(self._order, self._length, start, len(out))
        # All places exist; to check them, NumPy would first gather into memory of its own.
        np.take(self._samples, places, axis=0, out=out, mode="clip")


@contextmanager
def opened_shards(
    world: World, config: Config, source: Source, assignment: ShardAssignment
) -> Iterator[Callable[[int], dict[int, Shard]]]:
    """Give what gives a seed each shard of this rank, in the order of that seed.

    What the shards need is loaded or staged; runs that differ in their seeds have it in common.

    All ranks must enter and leave it.

    A warning is printed once where the samples' values are beyond what the generator can make.

    Raises:
        DataError: a file cannot be read, or there is no room to stage it; the same on all ranks.
    """
    data = config.data
    slices = [each for shard in assignment.stored for each in assignment.slices[shard]]
    files = sorted({source.locate(int(each[0]))[0] for each in slices})
    reader = world.all_or_raise(lambda: ChunkReader(source, files))
    with ExitStack() as stack:
        if data.stage:
            stack.enter_context(staged(world, data.stage, reader, slices))
        workers = ThreadPoolExecutor(data.threads or world.cores, thread_name_prefix="read")
        stack.callback(workers.shutdown, cancel_futures=True)
        if assignment.placement == "stream":
            if source.dtype == "float32":
                first = [assignment.slices[shard][0] for shard in assignment.read[:1]]
                span = world.all_or_raise(
                    lambda: value_range.joined(value_range.of(reader.read(each)) for each in first)
                )
                value_range.warn(world, config, source, span, "the first chunks")
            yield lambda seed: {
                shard: StreamedShard(
                    reader,
                    assignment.slices[shard],
                    seed,
                    shard,
                    data.shuffle_chunks,
                    _pass_length(config, assignment.sizes[shard]),
                    workers,
                )
                for shard in assignment.read
            }
        else:
            samples, span = _load(world, reader, assignment, workers)
            value_range.warn(world, config, source, span, "the samples")
            own = {shard: samples[shard] for shard in assignment.read}
            yield lambda seed: in_memory_shards(config, seed, assignment, own)


def in_memory_shards(
    config: Config, seed: int, assignment: ShardAssignment, values: dict[int, np.ndarray]
) -> dict[int, Shard]:
    """Return streams of values in memory that keep step with those of the samples.

    Labels are small: they stay in memory wherever the samples are. ``values`` are of some shards,
    samples or labels, in the order of their slices.
    """
    return {
        shard: InMemoryShard(
            own,
            _order(config.data, seed, shard, assignment.slices[shard]),
            _pass_length(config, assignment.sizes[shard]),
        )
        for shard, own in values.items()
    }


def _pass_length(config: Config, size: int) -> int:
    """Return the samples that a shard of some size takes in one pass."""
    per_step = config.train.batch_size * config.train.discriminator_steps
    return pass_length(size, per_step, config.data.uneven)


def _order(
    data: DataConfig, seed: int, shard: int, slices: list[ChunkSlice]
) -> Callable[[int], np.ndarray]:
    """Return what gives an epoch's order of the samples of ``slices``, one after the other."""
    sizes = np.array([len(each) for each in slices])
    if data.shuffle == "chunks":
        return lambda epoch: pooled_order(seed, shard, epoch, sizes, data.shuffle_chunks)
    return lambda epoch: epoch_order(seed, shard, epoch, int(sizes.sum()))


def _load(
    world: World, reader: ChunkReader, assignment: ShardAssignment, workers: Executor
) -> tuple[dict[int, np.ndarray], Span]:
    """Return the samples of each shard that is kept here, and the range of those that were read.

    All ranks must call it.
    """
    is_shared = assignment.placement == "node"
    sizes = {shard: assignment.sizes[shard] for shard in assignment.stored}
    shape, dtype = (sum(sizes.values()), *reader.source.sample_shape), reader.source.dtype
    memory = world.node_array(shape, dtype) if is_shared else np.empty(shape, dtype)
    ends = np.cumsum(list(sizes.values()))
    samples = {
        shard: memory[end - size : end]
        for (shard, size), end in zip(sizes.items(), ends.tolist(), strict=True)
    }
    chunks = _by_chunk(reader.source, assignment, samples)
    if is_shared:
        chunks = chunks[world.node_rank :: world.node_size]
    span = world.all_or_raise(lambda: _read_chunks(reader, chunks, workers))
    return samples, span


# A chunk's slices, each with the memory that its samples go to.
_Parts = list[tuple[ChunkSlice, np.ndarray]]


def _by_chunk(
    source: Source, assignment: ShardAssignment, samples: dict[int, np.ndarray]
) -> list[_Parts]:
    """Return for each chunk its slices and where they go: a chunk is read once for all of them."""
    chunks: dict[int, _Parts] = {}
    for shard, memory in samples.items():
        end = 0
        for each in assignment.slices[shard]:
            begin, end = end, end + len(each)
            chunk = int(np.searchsorted(source.chunk_offsets, each[0], side="right"))
            chunks.setdefault(chunk, []).append((each, memory[begin:end]))
    return list(chunks.values())


def _read_chunks(reader: ChunkReader, chunks: list[_Parts], workers: Executor) -> Span:
    """Read chunks and put their samples where they go; return the range of their values."""

    def read(parts: _Parts) -> Span:
        first = min(int(each[0]) for each, _ in parts)
        last = max(int(each[-1]) for each, _ in parts)
        rows = reader.read(range(first, last + 1))
        for each, memory in parts:
            if isinstance(each, range):
                memory[:] = rows[each.start - first : each[-1] + 1 - first : each.step]
            else:
                memory[:] = rows[each - first]
        return value_range.of(rows)

    return value_range.joined(workers.map(read, chunks))
