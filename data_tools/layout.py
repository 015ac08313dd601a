"""How a file that ``writer`` writes is laid out: its datasets, chunks and compression."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import h5py
import numpy as np

from hpcgan.errors import ConfigError
from hpcgan.files import default_chunk

Compression = Literal["none", "gzip", "lzf"]
Attributes = dict[str, dict[str, Any]]  # values, by the names of dataset and attribute

_LARGEST_CHUNK = 2**32 - 1  # bytes; a limit of HDF5's


@dataclass(frozen=True)
class Layout:
    """What a file holds.

    Attributes:
        samples: their number, N, at least 1.
        datasets: shape of a sample's part and dtype as it is stored, by name.
        chunk: samples per chunk, the same for all datasets, or None for chunks of about 1 MiB.
        compression: of the chunks; gzip and lzf come with the shuffle filter where values have
            several bytes.
        attributes: of the datasets.
        note: what the samples are, in short, for a line to print.

    Raises:
        ConfigError: HDF5 does not allow chunks of this size.
    """

    samples: int
    datasets: dict[str, tuple[tuple[int, ...], str]]
    chunk: int | None = None
    compression: Compression = "none"
    attributes: Attributes = field(default_factory=dict)
    note: str = ""

    def __post_init__(self) -> None:
        largest = max(self.chunk_bytes(name) for name in self.datasets)
        if largest > _LARGEST_CHUNK:
            raise ConfigError(
                f"a chunk of {self.chunk_samples} samples has {largest} bytes, but HDF5 allows "
                f"{_LARGEST_CHUNK}; make --chunk or --shape smaller"
            )

    @property
    def chunk_samples(self) -> int:
        """Samples of one chunk; the last chunk may use fewer."""
        largest = max(map(self.sample_bytes, self.datasets))
        return min(self.chunk or default_chunk(largest, self.samples), self.samples)

    @property
    def chunks(self) -> int:
        """The number of chunks of each dataset."""
        return -(-self.samples // self.chunk_samples)

    def sample_bytes(self, name: str) -> int:
        """Bytes of a sample of one dataset before compression."""
        shape, dtype = self.datasets[name]
        return math.prod(shape) * np.dtype(dtype).itemsize

    def chunk_bytes(self, name: str) -> int:
        """Bytes of a chunk of one dataset before compression."""
        return self.chunk_samples * self.sample_bytes(name)

    def run(self, rank: int, ranks: int) -> range:
        """Return the chunks that a rank writes."""
        return range(self.chunks * rank // ranks, self.chunks * (rank + 1) // ranks)

    def samples_of(self, chunk: int) -> range:
        """Return the numbers of a chunk's samples."""
        first = chunk * self.chunk_samples
        return range(first, min(first + self.chunk_samples, self.samples))

    def create(self, file: h5py.File, name: str, samples: int, early: bool = False) -> Any:
        """Make one dataset of some samples; ``early``: with a place for each chunk at once."""
        shape, dtype = self.datasets[name]
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        if early:
            plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)  # or rank 0 would write all of it once
        dataset = file.create_dataset(
            name,
            shape=(samples, *shape),
            dtype=dtype,
            chunks=(self.chunk_samples, *shape),
            compression=None if self.compression == "none" else self.compression,
            shuffle=self.compression != "none" and np.dtype(dtype).itemsize > 1,
            dcpl=plan,
        )
        dataset.attrs.update(self.attributes.get(name, {}))
        return dataset
