"""One HDF5 file, written by all ranks: the same file, byte for byte, from any number of them.

h5py from PyPI cannot write one file from several processes. So the ranks share the chunks, in
runs of neighbours, and HDF5 is used by one rank at a time:

- Without compression, rank 0 has HDF5 lay out the whole file, without content; then every rank
  writes the raw bytes of its chunks at the places that HDF5 gave them.
- With compression, a chunk's size is not known before it is compressed. Every rank compresses its
  chunks into a file of its own, and rank 0 puts them together.
"""

from __future__ import annotations

import errno
import functools
import glob
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py
import numpy as np
from tqdm import tqdm

from data_tools.layout import Layout
from hpcgan.errors import DataError
from hpcgan.files import hdf5_on_disk, partial_path, write_at, writing
from hpcgan.terminal import is_watched
from hpcgan.world import World

Content = Callable[[range], dict[str, np.ndarray]]


def write(out: Path, layout: Layout, content: Content, world: World) -> str:
    """Write a file with all ranks; return a line to print.

    All ranks must call it, with the same arguments.

    Args:
        out: the file; an old one is replaced at the end, at once.
        layout: what it holds.
        content: gives the arrays of a run of samples by dataset, (len(samples), ...). It must
            depend on the run alone. It is called for each chunk of this rank, in order.
        world: the ranks.

    Raises:
        DataError: ``out`` is a directory, is in none, or needs more than the disk's free space.
        RunError: the file cannot be written; an old one is then as it was.
        UserError: what ``content`` raises on any rank.
    """
    start = time.perf_counter()
    world.on_root(lambda: _delete_left(out))
    if layout.compression == "none":
        _write_in_place(out, layout, content, world)
    else:
        _write_in_parts(out, layout, content, world)
    speed = layout.samples / (time.perf_counter() - start)
    note = f", {layout.note}" if layout.note else ""
    return (
        f"{out}: {layout.samples} samples{note}; {world.on_root(lambda: out.stat().st_size)} "
        f"bytes, compression {layout.compression}, chunks of {layout.chunk_samples}, written by "
        f"{world.size} rank{'s' if world.size > 1 else ''} at {speed:.0f} samples/s"
    )


def _delete_left(out: Path) -> None:
    """Delete what a killed run left of its parts."""
    partial = partial_path(out)
    for part in partial.parent.glob(f"{glob.escape(partial.name)}.*"):
        with suppress(OSError):
            part.unlink()


def check_room(out: Path, needed: int) -> None:
    """Refuse to write more than the disk has room for, or to one that is read-only."""
    with writing(out):
        disk = os.statvfs(out.parent)
        if disk.f_flag & os.ST_RDONLY:  # which may have no room either, and nobody can make it
            raise OSError(errno.EROFS, "")
    free = disk.f_bavail * disk.f_frsize
    if needed > free:
        raise DataError(
            f"{out}: needs {needed} bytes, but {out.parent} has {free} free; make room or write "
            "fewer samples"
        )


def _write_in_place(out: Path, layout: Layout, content: Content, world: World) -> None:
    """Write chunks as they are, each rank its own, to the places that HDF5 gave them."""
    partial = partial_path(out)
    try:
        size = sum(layout.chunks * layout.chunk_bytes(name) for name in layout.datasets)
        world.on_root(lambda: check_room(out, size))  # before memory for as many chunks is taken
        offsets = np.zeros((len(layout.datasets), layout.chunks), np.int64)
        world.on_root(lambda: _lay_out(out, partial, layout, offsets))
        offsets = world.broadcast_array(offsets)
        world.all_or_raise(lambda: _fill(out, partial, layout, offsets, content, world))
        world.on_root(lambda: _publish(out, partial))
    except Exception:
        if world.is_root:
            with suppress(OSError):  # the first error counts
                partial.unlink()
        raise


def _lay_out(out: Path, partial: Path, layout: Layout, offsets: np.ndarray) -> None:
    """Make the file without content, and note where each chunk begins: (datasets, chunks)."""

    def note(row: np.ndarray, chunk: h5py.h5d.StoreInfo) -> None:
        row[chunk.chunk_offset[0] // layout.chunk_samples] = chunk.byte_offset

    with writing(out), h5py.File(partial, "w") as file:
        for row, name in zip(offsets, layout.datasets, strict=True):
            dataset = layout.create(file, name, layout.samples, early=True)
            dataset.id.chunk_iter(functools.partial(note, row))


def _fill(
    out: Path, partial: Path, layout: Layout, offsets: np.ndarray, content: Content, world: World
) -> None:
    """Write this rank's chunks; return when they are on disk."""
    with _opened(out, partial) as descriptor:
        for index, arrays in _own_chunks(layout, content, world):
            with writing(out):
                for row, name in zip(offsets, layout.datasets, strict=True):
                    write_at(descriptor, arrays[name], int(row[index]))


def _own_chunks(
    layout: Layout, content: Content, world: World
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Yield the number and the arrays of each of this rank's chunks, the last one filled up."""
    own = layout.run(world.rank, world.size)
    hidden = not (world.is_root and is_watched())
    for index in tqdm(own, unit="chunk", dynamic_ncols=True, disable=hidden, leave=False):
        samples = layout.samples_of(index)
        arrays = content(samples)
        whole = {}
        for name, (shape, dtype) in layout.datasets.items():
            array = np.ascontiguousarray(arrays[name], dtype)
            assert array.shape == (len(samples), *shape), (name, array.shape)
            missing = layout.chunk_samples - len(samples)
            whole[name] = np.pad(array, [(0, missing)] + [(0, 0)] * len(shape))
        yield index, whole


def _publish(out: Path, partial: Path) -> None:
    """Give the whole file its name."""
    with writing(out):
        partial.replace(out)


def _write_in_parts(out: Path, layout: Layout, content: Content, world: World) -> None:
    """Compress chunks, each rank its own, and put them together on rank 0."""
    part = _part(out, world.rank)
    try:
        sizes = world.all_or_raise(lambda: _compress(out, part, layout, content, world))
        every = world.gather_json(sizes)
        world.on_root(lambda: _put_together(out, layout, every))
    finally:
        with suppress(OSError):
            part.unlink()


def _part(out: Path, rank: int) -> Path:
    """Return where a rank puts its compressed chunks."""
    partial = partial_path(out)
    return partial.with_name(f"{partial.name}.{rank}")


# Of each chunk of a rank, for each dataset: bytes, and HDF5's mask of filters that were left out.
_Sizes = list[list[tuple[int, int]]]


def _compress(out: Path, part: Path, layout: Layout, content: Content, world: World) -> _Sizes:
    """Compress this rank's chunks into ``part``."""
    sizes: _Sizes = []
    with _encoder(layout) as encode, _opened(out, part, os.O_CREAT | os.O_TRUNC) as descriptor:
        end = 0
        for _, arrays in _own_chunks(layout, content, world):
            sizes.append([])
            for name in layout.datasets:
                mask, encoded = encode(name, arrays[name])
                with writing(out):
                    write_at(descriptor, encoded, end)
                end += encoded.nbytes
                sizes[-1].append((encoded.nbytes, mask))
    return sizes


@contextmanager
def _opened(out: Path, part: Path, flags: int = 0) -> Iterator[int]:
    """Give the descriptor of a part of ``out``, to write to; its content is on disk in the end."""
    with writing(out):
        descriptor = os.open(part, os.O_WRONLY | flags, 0o666)
    try:
        yield descriptor
        with writing(out):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _encoder(layout: Layout) -> Iterator[Callable[[str, np.ndarray], tuple[int, np.ndarray]]]:
    """Give a function that has HDF5 compress a chunk, in a file in memory."""
    with h5py.File("in-memory", "w", driver="core", backing_store=False) as file:
        chunks = {name: layout.create(file, name, layout.chunk_samples) for name in layout.datasets}

        def encode(name: str, array: np.ndarray) -> tuple[int, np.ndarray]:
            chunks[name][...] = array
            chunks[name].flush()
            mask, encoded = chunks[name].id.read_direct_chunk((0,) * array.ndim)
            return mask, np.frombuffer(encoded, np.uint8)

        yield encode


def _put_together(out: Path, layout: Layout, every: list[_Sizes]) -> None:
    """Write the file from the ranks' parts, in order."""
    check_room(out, sum(size for sizes in every for row in sizes for size, _ in row))
    with hdf5_on_disk(out) as file, writing(out):
        datasets = [layout.create(file, name, layout.samples) for name in layout.datasets]
        first = 0
        for rank, sizes in enumerate(every):
            with _part(out, rank).open("rb") as part:
                for row in sizes:
                    for dataset, (size, mask) in zip(datasets, row, strict=True):
                        where = (first,) + (0,) * (dataset.ndim - 1)
                        dataset.id.write_direct_chunk(where, part.read(size), mask)
                    first += layout.chunk_samples
