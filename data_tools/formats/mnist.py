"""IDX, the format of MNIST's files (Y. LeCun), compressed with gzip or not."""

from __future__ import annotations

import gzip
import math
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from data_tools.formats import Images, of_arrays
from hpcgan.errors import DataError

# The third byte of an IDX file; values of several bytes have their highest first.
_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

_PART = 2**20  # bytes


def is_idx(path: Path) -> bool:
    """Return whether a file begins as an IDX file does."""
    try:
        with _open(path) as file:
            head = file.read(4)
    except (OSError, EOFError):
        return False
    return len(head) == 4 and head[:2] == b"\0\0" and head[2] in _DTYPES and 1 <= head[3] <= 5


def open_idx(source: Path, labels: Path | None) -> Images:
    """Open a file of images, with the labels of another, or of the one that MNIST puts beside it.

    Raises:
        DataError: a file is no IDX file, or has another number of bytes than its header claims.
    """
    if labels is None:
        beside = source.with_name(source.name.replace("images", "labels").replace("idx3", "idx1"))
        labels = beside if beside != source and beside.is_file() else None
    return of_arrays(_read(source), None if labels is None else _read(labels), str(source))


def _read(path: Path) -> np.ndarray:
    """Return a file's array."""
    try:
        with _open(path) as file:
            head = file.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _DTYPES:
                raise DataError(f"{path}: begins with {head.hex(' ')}, which is not IDX")
            shape = tuple(np.frombuffer(file.read(4 * head[3]), ">i4").tolist())
            dtype = np.dtype(_DTYPES[head[2]])
            expected = math.prod(shape) * dtype.itemsize
            content = _read_at_most(file, expected + 1)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{path}: not readable as IDX: {error}") from None
    if len(shape) != head[3] or min(shape, default=0) < 0 or len(content) != expected:
        more = "more" if len(content) > expected else "only"
        raise DataError(
            f"{path}: claims {' x '.join(map(str, shape))} values of {dtype.itemsize} "
            f"bytes, but holds {more} {min(len(content), max(expected, 0))} bytes"
        )
    return np.frombuffer(content, dtype).reshape(shape)


def _read_at_most(file: BufferedIOBase, count: int) -> bytes:
    """Return up to ``count`` bytes; memory is taken for what is there, not for what is claimed."""
    parts = []
    while count > 0 and (part := file.read(min(count, _PART))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _open(path: Path) -> BufferedIOBase:
    """Open a file for reading, through gzip if it begins as gzip does."""
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    return gzip.GzipFile(path) if is_gzip else path.open("rb")
