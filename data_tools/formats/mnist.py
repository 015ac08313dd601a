"""IDX, the format of MNIST's files (Y. LeCun), compressed with gzip or not."""

from __future__ import annotations

import gzip
import math
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from data_tools.account import Account
from data_tools.conversion import Conversion
from data_tools.formats import Format, Images, of_array, on_each_rank
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


def read_idx(path: Path) -> np.ndarray:
    """Return a file's array.

    Raises:
        DataError: it is no IDX file, or has another number of bytes than its header claims.
    """
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


def _open_idx(conversion: Conversion, account: Account) -> Images:
    """Open a file of images, with the labels of the one that MNIST puts beside it."""
    source = conversion.source
    beside = source.with_name(source.name.replace("images", "labels").replace("idx3", "idx1"))
    labels = None
    if conversion.labels is None and beside != source and beside.is_file():
        labels = read_idx(beside)
        account.note("labels from the file beside it", beside.name)
    return of_array(read_idx(source), labels, str(source))


IDX = Format("idx", lambda source: source.is_file() and is_idx(source), on_each_rank(_open_idx))
