"""Arrays in files, of which runs of rows are read when they are needed: memory is for a run alone.

What is not compressed is mapped for each run anew, so that what was read counts no longer. What is
compressed as a whole is read in order, and what is before a run is forgotten: since each rank reads
its own run of samples, in order, it does that once.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Literal
from zipfile import BadZipFile

import numpy as np

from hpcgan.errors import DataError

PART = 2**20  # bytes
BROKEN = (OSError, EOFError, ValueError, zlib.error, BadZipFile)  # what reading may raise
_RATIO = 1100  # deflate makes at most 1,032 bytes of one


class MappedRows:
    """An array that is stored as it is, from some byte of a file on.

    ``is_fortran``: whether the first axis runs fastest.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        offset: int = 0,
        is_fortran: bool = False,
    ) -> None:
        self.shape, self.dtype, self.ndim = shape, dtype, len(shape)
        self._path, self._offset = path, offset
        self._order: Literal["C", "F"] = "F" if is_fortran else "C"

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, run: slice) -> np.ndarray:
        """Return rows."""
        if 0 in self.shape:  # nothing cannot be mapped
            return np.empty(self.shape, self.dtype)[run]
        whole = np.memmap(self._path, self.dtype, "r", self._offset, self.shape, self._order)
        return np.array(whole[run])


class StreamedRows:
    """An array that is compressed.

    Raises:
        DataError: it claims more than ``stored`` bytes of a file can hold.
    """

    def __init__(
        self,
        begin: Callable[[], BinaryIO],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        origin: str,
        stored: int,
    ) -> None:
        """``begin`` opens the file anew, at the first value."""
        self.shape, self.dtype, self.ndim = shape, dtype, len(shape)
        self._begin, self._origin = begin, origin
        self._row_bytes = math.prod(shape[1:]) * dtype.itemsize
        self._file: BinaryIO | None = None
        self._next = 0
        claimed = shape[0] * self._row_bytes
        if claimed > _RATIO * stored:
            raise DataError(
                f"{origin}: claims {claimed} bytes of values, which {stored} bytes cannot hold: it "
                "is damaged"
            )

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, run: slice) -> np.ndarray:
        """Return rows; a DataError tells which cannot be read."""
        first, stop, _ = run.indices(len(self))
        try:
            content = np.frombuffer(self._read(first, stop), self.dtype)
            return content.reshape(stop - first, *self.shape[1:])
        except BROKEN as error:
            raise DataError(
                f"{self._origin}: samples {first} to {stop - 1} cannot be read: "
                f"{str(error) or type(error).__name__}"
            ) from None

    def _read(self, first: int, stop: int) -> bytes:
        """Return the bytes of rows; at the end of the array the file must end."""
        if self._file is None or self._next > first:
            self._file, self._next = self._begin(), 0
        skipped = (first - self._next) * self._row_bytes
        while skipped > 0:
            part = self._file.read(min(PART, skipped))
            if not part:
                raise EOFError("it ends before them")
            skipped -= len(part)
        wanted = (stop - first) * self._row_bytes
        content = read_at_most(self._file, wanted)
        self._next = stop
        if len(content) < wanted:
            raise EOFError("it ends before the last of them")
        if stop == len(self) and self._file.read(1):  # a checksum is compared here, too
            raise EOFError("there are more values than it claims")
        return content


def read_at_most(file: BinaryIO, count: int) -> bytes:
    """Return up to ``count`` bytes; memory is taken for what is there, not for what is claimed."""
    parts = []
    while count > 0 and (part := file.read(min(count, PART))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
