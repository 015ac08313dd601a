"""Datasets of other HDF5 files, which another process reads: damaged ones may kill it."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from data_tools import copied_file
from data_tools.account import Account
from data_tools.conversion import Conversion
from data_tools.formats import Format, Images, of_array, on_each_rank
from hpcgan.data import headers
from hpcgan.errors import DataError
from hpcgan.files import default_chunk
from hpcgan.hdf5 import Hdf5Error, call, call_on_data

_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def is_hdf5(source: Path) -> bool:
    """Return whether a file has HDF5's signature: at its beginning, or at byte 512, 1024, ...

    Raises:
        OSError: it cannot be read.
    """
    size, place = source.stat().st_size, 0
    with source.open("rb") as file:
        while place < size:
            file.seek(place)
            if file.read(len(_SIGNATURE)) == _SIGNATURE:
                return True
            place = max(512, 2 * place)
    return False


def read_hdf5(path: Path, name: str) -> np.ndarray:
    """Return a dataset.

    Raises:
        DataError: the file is not HDF5, or there is no such dataset.
    """
    found, _ = call_on_data(copied_file.arrays, str(path), name, "none")
    return _Rows(path, **found[0])[:]


def _open_hdf5(conversion: Conversion, account: Account) -> Images:
    """Open the datasets "images" and "labels", or those that are named."""
    source = conversion.source
    images = conversion.images or "images"
    labels = "none" if conversion.labels and not conversion.own_labels else conversion.own_labels
    found, _ = call_on_data(copied_file.arrays, str(source), images, labels)
    arrays: list[Any] = [_Rows(source, **each) for each in found]
    # Labels are small: all at once.
    return of_array(arrays[0], arrays[1][:] if len(arrays) > 1 else None, str(source))


class _Rows:
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


HDF5 = Format(
    "hdf5",
    lambda source: source.is_file() and is_hdf5(source),
    on_each_rank(_open_hdf5),
    frozenset({"images"}),
)
