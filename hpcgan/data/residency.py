"""Where the samples are while a run uses them: in memory, once a node, or streamed from files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Protocol

import numpy as np

from hpcgan.config import Config, DataConfig
from hpcgan.data import shards
from hpcgan.data.chunks import ChunkReader
from hpcgan.data.division import Division
from hpcgan.data.shards import Piece
from hpcgan.data.source import Source
from hpcgan.data.stage import staged
from hpcgan.data.stream import StreamedShard
from hpcgan.world import World


class Shard(Protocol):
    """One shard's endless stream of samples."""

    def take(self, start: int, out: np.ndarray) -> None:
        """Fill ``out``, (count, *sample_shape), with the samples from ``start`` of the stream."""


class ResidentShard:
    """A shard whose samples are all in memory."""

    def __init__(
        self, samples: np.ndarray, order: Callable[[int], np.ndarray], length: int
    ) -> None:
        """Prepare the stream.

        Args:
            samples: (n, *sample_shape).
            order: gives an epoch's order, a permutation of 0..n-1.
            length: of a pass: so many places of each order are used.
        """
        self._samples = samples
        # An order is asked for at each step of its epoch, and drawing it costs more than a batch.
        self._order = lru_cache(maxsize=2)(order)
        self._length = length

    def take(self, start: int, out: np.ndarray) -> None:
        """Fill ``out``, (count, *sample_shape), with the samples from ``start`` of the stream."""
        places = shards.stream(self._order, self._length, start, len(out))
        # All places exist; to check them, NumPy would first gather into memory of its own.
        np.take(self._samples, places, axis=0, out=out, mode="clip")


@contextmanager
def opened_shards(
    world: World, config: Config, source: Source, division: Division
) -> Iterator[dict[int, Shard]]:
    """Give each shard of this rank, ready to be taken from; loads or stages what that needs.

    All ranks must enter and leave it.

    Raises:
        DataError: a file cannot be read, or there is no room to stage it; the same on all ranks.
    """
    data = config.data
    files = sorted({source.locate(int(p[0]))[0] for ps in division.pieces.values() for p in ps})
    reader = world.together(lambda: ChunkReader(source, files))
    with ExitStack() as stack:
        if data.stage:
            pieces = [piece for of_shard in division.pieces.values() for piece in of_shard]
            stack.enter_context(staged(world, data.stage, reader, pieces))
        workers = ThreadPoolExecutor(data.threads or world.cores, thread_name_prefix="read")
        stack.callback(workers.shutdown, cancel_futures=True)
        if division.residency == "stream":
            yield _streamed(config, reader, division, workers)
        else:
            samples = _load(world, reader, division, workers)
            yield {
                shard: ResidentShard(
                    samples[shard],
                    _order(config.seed, data, shard, division.pieces[shard]),
                    _pass_length(config, division.sizes[shard]),
                )
                for shard in division.hosted
            }


def label_shards(
    config: Config, division: Division, labels: dict[int, np.ndarray]
) -> dict[int, ResidentShard]:
    """Return streams of labels that keep step with those of the samples.

    Labels are small: they stay in memory wherever the samples are.

    Args:
        config: the run's, resolved.
        division: of the samples.
        labels: of each hosted shard, in the order of its pieces.
    """
    return {
        shard: ResidentShard(
            labels[shard],
            _order(config.seed, config.data, shard, division.pieces[shard]),
            _pass_length(config, division.sizes[shard]),
        )
        for shard in division.hosted
    }


def _streamed(
    config: Config, reader: ChunkReader, division: Division, workers: Executor
) -> dict[int, Shard]:
    """Return shards that are read while they are used."""
    return {
        shard: StreamedShard(
            reader,
            division.pieces[shard],
            config.seed,
            shard,
            config.data.shuffle_chunks,
            _pass_length(config, division.sizes[shard]),
            workers,
        )
        for shard in division.hosted
    }


def _pass_length(config: Config, size: int) -> int:
    """Return the samples that a shard of some size takes in one pass."""
    per_step = config.train.batch_size * config.train.discriminator_steps
    return shards.pass_length(size, per_step, config.data.uneven)


def _order(
    seed: int, data: DataConfig, shard: int, pieces: list[Piece]
) -> Callable[[int], np.ndarray]:
    """Return what gives an epoch's order of the samples of ``pieces``, one after the other."""
    sizes = np.array([len(piece) for piece in pieces])
    if data.shuffle == "chunks":
        return lambda epoch: shards.pooled_order(seed, shard, epoch, sizes, data.shuffle_chunks)
    return lambda epoch: shards.epoch_order(seed, shard, epoch, int(sizes.sum()))


def _load(
    world: World, reader: ChunkReader, division: Division, workers: Executor
) -> dict[int, np.ndarray]:
    """Return the samples of each shard that is kept here. All ranks must call it."""
    sizes = {shard: division.sizes[shard] for shard in division.pieces}
    shape = (sum(sizes.values()), *reader.source.sample_shape)
    if division.residency == "node":
        memory = world.node_array(shape, reader.source.dtype)
        share = slice(world.node_rank, None, world.node_size)
    else:
        own = {shard: sizes[shard] for shard in division.hosted}
        sizes, shape = own, (sum(own.values()), *shape[1:])
        memory = np.empty(shape, reader.source.dtype)
        share = slice(None)
    ends = np.cumsum(list(sizes.values()))
    samples = {
        shard: memory[end - size : end]
        for (shard, size), end in zip(sizes.items(), ends.tolist(), strict=True)
    }
    chunks = _by_chunk(reader.source, {shard: division.pieces[shard] for shard in sizes}, samples)
    world.together(lambda: _read_chunks(reader, chunks[share], workers))
    return samples


# A chunk's pieces, each with the memory that its samples go to.
_Parts = list[tuple[Piece, np.ndarray]]


def _by_chunk(
    source: Source, pieces: dict[int, list[Piece]], samples: dict[int, np.ndarray]
) -> list[_Parts]:
    """Return for each chunk its pieces and where they go: a chunk is read once for all of them."""
    chunks: dict[int, _Parts] = {}
    for shard, of_shard in pieces.items():
        end = 0
        for piece in of_shard:
            begin, end = end, end + len(piece)
            chunk = int(np.searchsorted(source.edges, piece[0], side="right"))
            chunks.setdefault(chunk, []).append((piece, samples[shard][begin:end]))
    return list(chunks.values())


def _read_chunks(reader: ChunkReader, chunks: list[_Parts], workers: Executor) -> None:
    """Read chunks and put their samples where they go."""

    def read(parts: _Parts) -> None:
        first = min(int(piece[0]) for piece, _ in parts)
        last = max(int(piece[-1]) for piece, _ in parts)
        rows = reader.read(range(first, last + 1))
        for piece, memory in parts:
            if isinstance(piece, range):
                memory[:] = rows[piece.start - first : piece[-1] + 1 - first : piece.step]
            else:
                memory[:] = rows[piece - first]

    for _ in workers.map(read, chunks):
        pass
