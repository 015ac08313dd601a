"""The command ``reshard``: the samples of some data files in other files.

Merged or split, with other chunks or compression, in the same order or shuffled. The result is the
same, byte for byte, on any number of ranks.

To shuffle, every sample gets its place in a random permutation, drawn from the seed and the number
of samples. The places are divided into buckets that fit in memory. First the ranks read the files
from beginning to end, each its part, and append every sample to a temporary file of its bucket;
then each bucket is read and put in order in memory. So all files are read once and in order, which
random access to compressed chunks is not.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np

from data_tools import copied_file, writer
from data_tools.layout import Attributes, Compression, Layout
from data_tools.writer import Content
from hpcgan.config import DataConfig
from hpcgan.data.chunks import ChunkReader
from hpcgan.data.shards import divide
from hpcgan.data.source import list_files, open_source
from hpcgan.errors import ConfigError
from hpcgan.files import partial_path, writing
from hpcgan.hdf5 import call_on_data
from hpcgan.world import World

BUCKET = 2**28  # bytes of samples that are put in order in memory


@dataclass(frozen=True)
class Resharding:
    """What to write.

    Attributes:
        files: paths and patterns of the data files, one array together.
        out: the file, or with several parts what their names begin with.
        images: dataset of the samples.
        labels: dataset of the labels; None for "labels", if the first file has it.
        parts: files to write.
        shuffle: whether to put the samples in random order.
        seed: of that order.
        chunk: samples per chunk; None for about 1 MiB.
        compression: of the chunks.
    """

    files: list[str]
    out: Path
    images: str = "images"
    labels: str | None = None
    parts: int = 1
    shuffle: bool = False
    seed: int = 0
    chunk: int | None = None
    compression: Compression = "none"

    def path(self, part: int) -> Path:
        """Return the name of a part."""
        if self.parts == 1:
            return self.out
        return self.out.with_name(f"{self.out.stem}-{part:04d}{self.out.suffix}")


def reshard(world: World, wanted: Resharding) -> list[str]:
    """Write the files with all ranks and return a line to print for each. All ranks must call it.

    Raises:
        ConfigError: an option is out of bounds.
        DataError: a file is not what it should be, or disagrees with the first one.
        RunError: a file cannot be written; old ones are then as they were.
    """
    samples = Samples(world, wanted)
    world.all_or_raise(lambda: _check(wanted, len(samples.source)))
    if not wanted.shuffle:
        return _write_parts(world, wanted, samples, samples.read)
    with_buckets = Shuffled(samples, wanted)
    try:
        world.on_root(with_buckets.make_room)
        world.all_or_raise(lambda: with_buckets.scatter(world.rank, world.size))
        return _write_parts(
            world, wanted, samples, lambda run: with_buckets.gather(run, world.size)
        )
    finally:
        # Where one rank alone has failed, all end at once: the next call deletes what is left.
        with suppress(OSError):
            with_buckets.clear(world.rank)


def _check(wanted: Resharding, samples: int) -> None:
    """Refuse values out of bounds, and places that cannot be written to."""
    if not 1 <= wanted.parts <= samples:
        raise ConfigError(f"--parts is {wanted.parts}; it must be from 1 to {samples}")
    if wanted.seed and not wanted.shuffle:
        raise ConfigError(f"--seed is {wanted.seed}, of the order of --shuffle; give both")
    sources = {Path(file).resolve() for file in list_files(wanted.files)}
    for part in range(wanted.parts):
        path = wanted.path(part)
        partial_path(path)
        if path.resolve() in sources:
            raise ConfigError(f"--out: {path} is one of the files to read; choose another")


def _write_parts(world: World, wanted: Resharding, samples: Samples, content: Content) -> list[str]:
    """Write all parts. All ranks must call it."""
    lines = []
    total = len(samples.source)
    for part in range(wanted.parts):
        run = range(total * part // wanted.parts, total * (part + 1) // wanted.parts)

        def of_part(own: range, first: int = run.start) -> dict[str, np.ndarray]:
            return content(range(first + own.start, first + own.stop))

        layout = samples.layout(len(run), wanted)
        lines.append(writer.write(wanted.path(part), layout, of_part, world))
    return lines


class Samples:
    """The samples and labels of the files that are read."""

    def __init__(self, world: World, wanted: Resharding) -> None:
        """Open the files. All ranks must call it."""
        data = DataConfig(files=wanted.files, images=wanted.images, labels=wanted.labels)
        self.source = open_source(world, data)
        first = self.source.files[0]
        if wanted.labels is None and world.on_root(
            lambda: call_on_data(copied_file.has_labels, first)[0]
        ):
            data = DataConfig(files=wanted.files, images=wanted.images, labels="labels")
            self.source = open_source(world, data)
        files = [n for n, length in enumerate(self.source.lengths) if length]
        self._reader = world.all_or_raise(lambda: ChunkReader(self.source, files))
        self._labels = world.all_or_raise(
            lambda: self.source.read_labels() if self.source.labels else None
        )
        names = [name for name in (data.images, data.labels) if name]
        self._attributes: Attributes = world.all_or_raise(
            lambda: {name: _attributes(first, name) for name in names}
        )

    def layout(self, samples: int, wanted: Resharding) -> Layout:
        """Return the layout of a file of some number of the samples."""
        stored = "u1" if self.source.dtype == "uint8" else "<f4"
        datasets: dict[str, tuple[tuple[int, ...], str]] = {
            wanted.images: (self.source.sample_shape, stored)
        }
        if self._labels is not None:
            kind = self._labels.dtype.newbyteorder("<").str
            datasets[str(self.source.labels)] = (self._labels.shape[1:], kind)
        return Layout(samples, datasets, wanted.chunk, wanted.compression, self._attributes)

    def read(self, run: range) -> dict[str, np.ndarray]:
        """Return the samples, and labels if there are any, of a run."""
        images = np.empty((len(run), *self.source.sample_shape), self.source.dtype)
        edges = self.source.chunk_offsets
        inner = edges[(edges > run.start) & (edges < run.stop)].tolist()
        bounds = [run.start, *inner, run.stop]
        for first, stop in pairwise(bounds):
            images[first - run.start : stop - run.start] = self._reader.read(range(first, stop))
        return self.with_labels(images, np.arange(run.start, run.stop))

    def with_labels(self, images: np.ndarray, numbers: np.ndarray) -> dict[str, np.ndarray]:
        """Return images by the name of their dataset, with the labels of their numbers."""
        content = {self.source.images: images}
        if self._labels is not None:
            content[str(self.source.labels)] = self._labels[numbers]
        return content


def _attributes(file: str, name: str) -> dict[str, np.ndarray]:
    """Return the attributes of a dataset."""
    names, values = call_on_data(copied_file.attributes, file, name)
    return {
        key: value.astype(h5py.string_dtype()) if value.dtype.kind == "U" else value
        for key, value in zip(names, values, strict=True)
    }


class Shuffled:
    """The samples in random order, by way of buckets on disk."""

    def __init__(self, samples: Samples, wanted: Resharding) -> None:
        """Draw the order."""
        self._samples = samples
        total = len(samples.source)
        key = np.random.SeedSequence([wanted.seed, total])
        order = np.random.Generator(np.random.Philox(key)).permutation(total)
        self._order = order  # the sample at each place
        self._places = np.empty_like(order)
        self._places[order] = np.arange(total)
        self._size = max(1, BUCKET // samples.source.sample_bytes)  # places of a bucket
        self._directory = partial_path(wanted.path(0)).with_suffix(".shuffle")
        self.bucket = lru_cache(maxsize=2)(self._bucket)

    def make_room(self) -> None:
        """Make the place for the buckets, after what a killed run left there."""
        source = self._samples.source
        out = self._directory
        with writing(out):
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()
        writer.check_room(out, len(source) * source.sample_bytes)

    def scatter(self, rank: int, ranks: int) -> None:
        """Append each sample of this rank's part to its bucket."""
        source = self._samples.source
        for piece in divide("contiguous", source.chunk_offsets, ranks, [rank])[rank]:
            run = range(int(piece[0]), int(piece[-1]) + 1)
            images = self._samples.read(run)[source.images]
            buckets = self._places[run.start : run.stop] // self._size
            for bucket in np.unique(buckets).tolist():
                part = np.ascontiguousarray(images[buckets == bucket])
                path = self._path(rank, bucket)
                with writing(path), path.open("ab") as file:
                    file.write(part.reshape(-1).view(np.uint8).data)

    def gather(self, run: range, ranks: int) -> dict[str, np.ndarray]:
        """Return the samples at a run of places, and their labels."""
        parts = []
        first = run.start
        while first < run.stop:
            bucket, begin = divmod(first, self._size)
            end = min(begin + run.stop - first, self._size)
            parts.append(self.bucket(bucket, ranks)[begin:end])
            first += end - begin
        return self._samples.with_labels(np.concatenate(parts), self._order[run.start : run.stop])

    def clear(self, rank: int) -> None:
        """Delete a rank's buckets, and their directory with the last of them."""
        for path in self._directory.glob(f"{rank}-*"):
            path.unlink()
        self._directory.rmdir()

    def _bucket(self, bucket: int, ranks: int) -> np.ndarray:
        """Return a bucket's samples in order."""
        source = self._samples.source
        places = self._order[bucket * self._size : (bucket + 1) * self._size]
        arrived = np.empty((len(places), *source.sample_shape), source.dtype)
        end = 0
        for rank in range(ranks):
            path = self._path(rank, bucket)
            if path.exists():
                part = np.fromfile(path, source.dtype).reshape(-1, *source.sample_shape)
                arrived[end : end + len(part)] = part
                end += len(part)
        assert end == len(places)
        # They arrived in the order of their numbers, for the ranks' parts follow one another.
        return arrived[np.argsort(np.argsort(places))]

    def _path(self, rank: int, bucket: int) -> Path:
        """Return where a rank puts its samples of a bucket."""
        return self._directory / f"{rank}-{bucket:06d}"
