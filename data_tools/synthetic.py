"""The command ``synthetic``: noise of any shape and number, for benchmarks, written by all ranks.

The content of a chunk depends on the seed and the chunk's number alone, so the file is the same,
byte for byte, whatever the number of ranks.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_tools import writer
from data_tools.layout import Layout
from hpcgan.errors import ConfigError
from hpcgan.files import default_chunk
from hpcgan.world import World


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
        _ = self.layout  # refuses chunks that HDF5 does not allow

    @property
    def layout(self) -> Layout:
        """The file, little-endian."""
        datasets: dict[str, tuple[tuple[int, ...], str]] = {}
        datasets["images"] = (self.shape, "u1" if self.dtype == "uint8" else "<f4")
        if self.classes is not None:
            datasets["labels"] = ((), "<i4")
        sample_bytes = math.prod(self.shape) * np.dtype(self.dtype).itemsize
        return Layout(
            self.samples, datasets, self.chunk or default_chunk(sample_bytes, self.samples)
        )

    def content(self, samples: range) -> dict[str, np.ndarray]:
        """Return a chunk's arrays by dataset, (len(samples), ...).

        The content depends on the chunk's number, the seed, and the shape of a chunk alone, and
        is made for a whole chunk: a sample does not depend on how many there are.
        """
        size = self.layout.chunk_samples
        key = np.array([self.seed, samples.start // size], np.uint64)
        generator = np.random.Generator(np.random.Philox(key=key))
        images: np.ndarray
        if self.dtype == "uint8":
            images = generator.integers(0, 256, (size, *self.shape), np.uint8)
        else:
            images = generator.standard_normal((size, *self.shape), np.float32).clip(-1, 1)
        content = {"images": images}
        if self.classes is not None:
            content["labels"] = generator.integers(0, self.classes, size, np.int32)
        return {name: array[: len(samples)] for name, array in content.items()}


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
    written = writer.write(out, noise.layout, noise.content, world)
    speed = written / (time.perf_counter() - start) / 1e6
    return (
        f"{out}: {noise.samples} samples, {written} bytes, written by {world.size} "
        f"rank{'s' if world.size > 1 else ''} at {speed:.1f} MB/s"
    )
