"""How fast samples come from files and from memory: ``python -m benchmarks.data``.

For real digits of 28x28 pixels in chunks of 1 MiB, without compression and with gzip and lzf:
streamed and shuffled reading on 1 and 2 threads against plain h5py, which reads the same chunks in
order, and against h5py's reading of single samples at random. Then batches from memory and from
the memory that the ranks of a node share, against NumPy's own gathering. Files are read from the
system's cache: what is compared is the work, not the disk.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from benchmarks.measure import DIGITS, many_digits, rates
from hpcgan.data.chunks import ChunkReader
from hpcgan.data.placement import InMemoryShard
from hpcgan.data.shards import divide, epoch_order
from hpcgan.data.source import Source
from hpcgan.data.stream import StreamedShard
from hpcgan.files import default_chunk
from hpcgan.world import World

BATCH = 640  # what a call of the update takes: ten steps of 64
SHAPE = (28, 28, 1)
CHUNK = default_chunk(28 * 28, DIGITS)
COMPRESSIONS = {"none": None, "gzip": "gzip", "lzf": "lzf"}
POOL = 16
REPEATS = 5


def main() -> None:
    """Measure and print everything."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    images = many_digits()
    print(f"{DIGITS} digits of 28x28, chunks of {CHUNK} samples; medians of {REPEATS} turns\n")
    print(f"{'from files':<12}{'samples/s':>12}{'of in order':>13}{'of single':>11}")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "digits.h5"
        with h5py.File(path, "w") as file:
            for name, compression in COMPRESSIONS.items():
                chunks = (CHUNK, *SHAPE)
                file.create_dataset(name, data=images, chunks=chunks, compression=compression)
        for name in COMPRESSIONS:
            compare_reading(path, name)
        growth_of_memory(path)
    compare_gathering(images)


def compare_reading(path: Path, name: str) -> None:
    """Print how fast one dataset is read in each way."""
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(2) as two:
        ways = {
            "in order": partial(read_in_order, path, name),
            "single": partial(read_single, path, name),
            "1 thread": streaming(path, name, one),
            "2 threads": streaming(path, name, two),
        }
        found = rates(ways, REPEATS)
    print(name)
    for way, rate in found.items():
        ratios = f"{rate / found['in order']:>13.2f}{rate / found['single']:>11.1f}"
        print(f"  {way:<10}{rate:>12.0f}{ratios}")


def read_in_order(path: Path, name: str) -> int:
    """Read all chunks in order with plain h5py."""
    with h5py.File(path, locking=False) as file:
        for first in range(0, DIGITS, CHUNK):
            file[name][first : first + CHUNK]
    return DIGITS


def read_single(path: Path, name: str) -> int:
    """Read single samples at random with plain h5py."""
    chosen = np.random.default_rng(0).integers(0, DIGITS, 100)
    with h5py.File(path, locking=False) as file:
        for sample in chosen.tolist():
            file[name][sample]
    return len(chosen)


def streaming(path: Path, name: str, threads: ThreadPoolExecutor) -> Callable[[], int]:
    """Return what takes an epoch's batches from a stream that goes on from call to call.

    Each call begins with what the last one read ahead, and waits for what it reads ahead itself:
    so no other way is measured meanwhile, and each call pays for as much as it uses.
    """
    source = Source((str(path),), (DIGITS,), (CHUNK,), name, None, SHAPE, "uint8")
    pieces = divide("contiguous", source.chunk_offsets, 1, [0], aligned=True)[0]
    shard = StreamedShard(ChunkReader(source, [0]), pieces, 0, 0, POOL, DIGITS, threads)
    batch = np.empty((BATCH, *SHAPE), np.uint8)
    place = 0

    def take() -> int:
        nonlocal place
        for _ in range(DIGITS // BATCH):
            shard.take(place, batch)
            place += BATCH
        threads.submit(lambda: None).result()
        return DIGITS // BATCH * BATCH

    return take


def growth_of_memory(path: Path) -> None:
    """Print how the memory grows while ten epochs are streamed."""
    with ThreadPoolExecutor(2) as threads:
        take = streaming(path, "gzip", threads)
        take()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(10):
            take()
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"\nmemory at its largest after 1 and after 11 epochs of gzip: {before / 1024:.0f} and "
        f"{after / 1024:.0f} MiB"
    )


def compare_gathering(images: np.ndarray) -> None:
    """Print how fast batches come from memory, shared memory, and NumPy's own indexing."""
    shared = World().node_array(images.shape, "uint8")
    shared[:] = images
    order = epoch_order(0, 0, 0, DIGITS)

    def gather() -> int:
        for first in range(0, DIGITS, BATCH):
            images[order[first : first + BATCH]]
        return DIGITS

    def taking(samples: np.ndarray) -> Callable[[], int]:
        shard = InMemoryShard(samples, lambda epoch: order, DIGITS)
        batch = np.empty((BATCH, *SHAPE), np.uint8)

        def take() -> int:
            for first in range(0, DIGITS - BATCH, BATCH):
                shard.take(first, batch)
            return DIGITS // BATCH * BATCH

        return take

    found = rates({"NumPy": gather, "memory": taking(images), "node": taking(shared)}, REPEATS)
    print(f"\n{'from memory':<12}{'samples/s':>12}{'of NumPy':>13}")
    for way, rate in found.items():
        print(f"  {way:<10}{rate:>12.0f}{rate / found['NumPy']:>13.2f}")


if __name__ == "__main__":
    main()
