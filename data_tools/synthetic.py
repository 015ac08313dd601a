"""The command ``synthetic``: noise of any shape and number, for benchmarks, written by all ranks.

h5py from PyPI cannot write one file from several processes. So rank 0 has HDF5 lay out the whole
file, without content; then every rank writes the raw bytes of its chunks at the places that HDF5
gave them. The content of a chunk depends on the seed and the chunk's number alone, so the file is
the same, byte for byte, whatever the number of ranks.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from hpcgan.errors import ConfigError, DataError, UserError
from hpcgan.files import default_chunk, partial_path, writing
from hpcgan.world import World

_LARGEST_CHUNK = 2**32 - 1  # bytes; a limit of HDF5's


@dataclass(frozen=True)
class Noise:
    """What a synthetic file holds.

    Args:
        samples: their number, N.
        shape: of a sample: (H, W, C) or (D, H, W, C).
        dtype: uint8 (uniform) or float32 (normal, clipped to [-1, 1]).
        classes: labels are uniform in range(classes); None for no labels.
        chunk: samples a chunk; None for about 1 MiB. Never more than N.
        seed: of the content, 0 to 2**64 - 1.

    Raises:
        ConfigError: a value is out of bounds.
    """

    samples: int
    shape: tuple[int, ...]
    dtype: str = "uint8"
    classes: int | None = None
    chunk: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.shape) not in (3, 4) or min(self.shape) < 1:
            raise ConfigError(
                f"--shape is {','.join(map(str, self.shape))}; it must be H,W,C or D,H,W,C, "
                "each at least 1"
            )
        for name, largest in (("samples", 2**63 - 1), ("classes", 2**31 - 1), ("chunk", 2**63 - 1)):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= largest:
                raise ConfigError(f"--{name} is {value}; it must be from 1 to {largest}")
        if not 0 <= self.seed < 2**64:
            raise ConfigError(f"--seed is {self.seed}; it must be from 0 to {2**64 - 1}")
        if self.chunk_samples * self.sample_bytes > _LARGEST_CHUNK:
            raise ConfigError(
                f"a chunk of {self.chunk_samples} samples has "
                f"{self.chunk_samples * self.sample_bytes} bytes, but HDF5 allows "
                f"{_LARGEST_CHUNK}; make --chunk or --shape smaller"
            )

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def chunk_samples(self) -> int:
        """Samples of one chunk; the last chunk may use fewer."""
        if self.chunk is None:
            return default_chunk(self.sample_bytes, self.samples)
        return min(self.chunk, self.samples)

    @property
    def chunks(self) -> int:
        """The number of chunks."""
        return -(-self.samples // self.chunk_samples)

    @property
    def datasets(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape of a sample's part and dtype, little-endian as they are stored, by dataset."""
        datasets: dict[str, tuple[tuple[int, ...], str]] = {}
        datasets["images"] = (self.shape, "u1" if self.dtype == "uint8" else "<f4")
        if self.classes is not None:
            datasets["labels"] = ((), "<i4")
        return datasets

    def content(self, index: int) -> dict[str, np.ndarray]:
        """Return a chunk's arrays by dataset, each (chunk_samples, ...); the last is whole too.

        So a sample does not depend on how many there are. The content depends on ``index``, the
        seed, and the shape of a chunk alone.
        """
        key = np.array([self.seed, index], np.uint64)
        generator = np.random.Generator(np.random.Philox(key=key))
        shape = (self.chunk_samples, *self.shape)
        images: np.ndarray
        if self.dtype == "uint8":
            images = generator.integers(0, 256, shape, np.uint8)
        else:
            images = generator.standard_normal(shape, np.float32).clip(-1, 1)
        content = {"images": images}
        if self.classes is not None:
            content["labels"] = generator.integers(0, self.classes, len(images), np.int32)
        return {name: content[name].astype(self.datasets[name][1], copy=False) for name in content}


def write(out: Path, noise: Noise, world: World) -> str:
    """Write a synthetic file with all ranks. All ranks must call it, with the same arguments.

    Args:
        out: the file; an old one is replaced at the end, at once.
        noise: what it holds.
        world: the ranks.

    Returns:
        A line to print: samples, bytes, ranks and speed.

    Raises:
        DataError: ``out`` is a directory, is in none, or needs more than the disk's free space.
        RunError: the file cannot be written; an old one is then as it was.
    """
    start = time.perf_counter()
    partial = Path(world.on_root(lambda: str(partial_path(out))))
    try:
        world.on_root(lambda: _lay_out(partial, out, noise))
        offsets = _share_offsets(partial, out, noise, world)
        world.together(lambda: _write_chunks(partial, out, noise, offsets, world.rank, world.size))
        written = world.on_root(lambda: _publish(partial, out))
    except UserError:
        world.on_root(lambda: partial.unlink(missing_ok=True))
        raise
    speed = written / (time.perf_counter() - start) / 1e6
    return (
        f"{out}: {noise.samples} samples, {written} bytes, written by {world.size} "
        f"rank{'s' if world.size > 1 else ''} at {speed:.1f} MB/s"
    )


def _lay_out(partial: Path, out: Path, noise: Noise) -> None:
    """Make the file with a place for every chunk, without content."""
    with writing(out):
        free = shutil.disk_usage(partial.parent).free
    needed = noise.chunks * noise.chunk_samples * noise.sample_bytes
    if needed > free:
        raise DataError(
            f"{out}: needs {needed} bytes, but {out.parent} has {free} free; "
            "make room or write fewer --samples"
        )
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)  # or rank 0 would write the whole file once
    with writing(out), h5py.File(partial, "w") as file:
        for name, (shape, dtype) in noise.datasets.items():
            file.create_dataset(
                name,
                shape=(noise.samples, *shape),
                dtype=dtype,
                chunks=(noise.chunk_samples, *shape),
                dcpl=plan.copy(),
            )


def _share_offsets(partial: Path, out: Path, noise: Noise, world: World) -> np.ndarray:
    """Return on all ranks where each chunk begins in the file: int64 (datasets, chunks)."""
    offsets = np.zeros((len(noise.datasets), noise.chunks), np.int64)

    def read() -> None:
        with writing(out), h5py.File(partial, "r") as file:
            for row, (name, (shape, _)) in zip(offsets, noise.datasets.items(), strict=True):
                for index in range(noise.chunks):
                    first = (index * noise.chunk_samples, *(0 for _ in shape))
                    row[index] = file[name].id.get_chunk_info_by_coord(first).byte_offset

    world.on_root(read)
    return world.broadcast_array(offsets)


def _write_chunks(
    partial: Path, out: Path, noise: Noise, offsets: np.ndarray, rank: int, size: int
) -> None:
    """Write this rank's part: chunks that follow one another; return when they are on disk."""
    mine = range(noise.chunks * rank // size, noise.chunks * (rank + 1) // size)
    with writing(out):
        descriptor = os.open(partial, os.O_WRONLY)
        try:
            for index in mine:
                for row, array in zip(offsets, noise.content(index).values(), strict=True):
                    _write_at(descriptor, array, int(row[index]))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write_at(descriptor: int, array: np.ndarray, offset: int) -> None:
    """Write all bytes of ``array`` at ``offset``; one call of the system may write fewer."""
    rest = array.reshape(-1).view(np.uint8).data
    while rest:
        count = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[count:], offset + count


def _publish(partial: Path, out: Path) -> int:
    """Give the whole file its name and return its bytes."""
    with writing(out):
        partial.replace(out)
        return out.stat().st_size
