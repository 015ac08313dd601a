"""Datasets of HDF5 files of others, which another process reads: damaged ones may kill it."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from data_tools import copied_file
from data_tools.formats import check_labels
from hpcgan.data import headers
from hpcgan.errors import DataError
from hpcgan.files import default_chunk
from hpcgan.hdf5 import Hdf5Error, call, call_on_data


def contents(path: Path) -> dict[str, Any]:
    """Return what ``copied_file.contents`` tells of a file."""
    found: dict[str, Any] = call_on_data(copied_file.contents, str(path))[0]
    return found


def attributes_of(path: Path, name: str) -> dict[str, Any]:
    """Return the attributes of a dataset that are numbers or texts."""
    names, values = call_on_data(copied_file.attributes, str(path), name)
    return dict(zip(names, values, strict=True))


def rows_of(path: Path, name: str) -> Rows:
    """Return a dataset of samples.

    Raises:
        DataError: there is none, or it cannot be read.
    """
    (header,), _ = call_on_data(copied_file.arrays, str(path), name)
    if header["dtype"] == "text":
        raise DataError(f"{path}: '{name}' holds texts, which are no samples")
    return Rows(path, **header)


def labels_of(path: Path, name: str, samples: int) -> np.ndarray:
    """Return all of a dataset of labels of some samples.

    Raises:
        DataError: there is none, or it cannot be read, or it is far too large.
    """
    (header,), _ = call_on_data(copied_file.arrays, str(path), name)
    check_labels(tuple(header["shape"]), samples, f"{path}: '{name}'")
    if header["dtype"] == "text":
        return call_on_data(copied_file.texts, str(path), name)[1][0]
    return Rows(path, **header)[:]


class Rows:
    """A dataset of which runs of rows are read when they are needed."""

    def __init__(
        self, source: Path, name: str, shape: list[int], dtype: str, chunk: int | None
    ) -> None:
        self.shape, self.dtype, self.ndim = tuple(shape), np.dtype(dtype), len(shape)
        self._source, self._name = source, name
        # Whole chunks of the file, which may be larger than those that are needed.
        most = default_chunk(max(1, math.prod(shape[1:]) * self.dtype.itemsize), max(1, shape[0]))
        self._rows = (chunk or 1) * max(1, most // (chunk or 1))
        self._block = lru_cache(maxsize=1)(self._read)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, run: slice) -> np.ndarray:
        """Return rows; a DataError names those that cannot be read."""
        first, stop, _ = run.indices(len(self))
        parts = [np.empty((0, *self.shape[1:]), self.dtype)]
        while first < stop:
            block, begin = divmod(first, self._rows)
            parts.append(self._block(block)[begin : begin + stop - first])
            first += len(parts[-1])
        return np.concatenate(parts)

    def _read(self, block: int) -> np.ndarray:
        """Return the rows of one block."""
        first = block * self._rows
        stop = min(first + self._rows, len(self))
        try:
            return call(headers.rows, str(self._source), self._name, first, stop)[1][0]
        except (Hdf5Error, DataError) as error:
            raise DataError(
                f"{self._source}: samples {first} to {stop - 1} of '{self._name}' cannot be read: "
                f"{error}"
            ) from None
