"""The command ``synthetic``: noise of any shape and number, for benchmarks, written by all ranks.

The content of a chunk depends on the seed and the chunk's number alone, so the file is the same,
byte for byte, whatever the number of ranks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_tools.layout import Layout


@dataclass(frozen=True)
class Noise:
    """What a synthetic file holds.

    Args:
        samples: their number, N.
        shape: of a sample: (H, W, C) or (D, H, W, C).
        dtype: uint8 (uniform) or float32 (normal, clipped to [-1, 1]).
        classes: labels are uniform in range(classes); None for no labels.
        chunk: samples per chunk; None for about 1 MiB. Never more than N.
        seed: of the content, 0 to 2**64 - 1.
    """

    samples: int
    shape: tuple[int, ...]
    dtype: str = "uint8"
    classes: int | None = None
    chunk: int | None = None
    seed: int = 0

    @property
    def layout(self) -> Layout:
        """The file, little-endian. Raises ConfigError for chunks that HDF5 does not allow."""
        datasets: dict[str, tuple[tuple[int, ...], str]] = {}
        datasets["images"] = (self.shape, "u1" if self.dtype == "uint8" else "<f4")
        if self.classes is not None:
            datasets["labels"] = ((), "<i4")
        return Layout(self.samples, datasets, self.chunk)

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
