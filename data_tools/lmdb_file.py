"""What ``convert`` reads of an LMDB file.

For the process that reads HDF5 (``hpcgan.hdf5_process``), which limits its time and memory: LMDB
maps its file into memory and follows what is in it, and damage may kill the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from hpcgan import hdf5_limits
from hpcgan.errors import DataError

_PART = 2**24  # bytes of values that are read at once, or one value that is larger
_TEXT = ("utf-8", "surrogateescape")  # of keys, which may be any bytes


@hdf5_limits.served
def keys(file: str) -> Iterator[Any]:
    """Yield all keys, in order: as many as the database says, each after the one before.

    Nothing in it has a checksum, but damage to its tree shows in these.
    """
    with _opened(file) as transaction:
        found = [bytes(key) for key in transaction.cursor().iternext(values=False)]
        entries = transaction.stat()["entries"]
        if len(found) != entries or any(a >= b for a, b in pairwise(found)):
            raise DataError(
                f"{file}: not readable as LMDB: its {entries} keys are not all there, or not in "
                "order: it is damaged"
            )
        yield [key.decode(*_TEXT) for key in found]


@hdf5_limits.served
def values(file: str, first: str) -> Iterator[Any]:
    """Yield the bytes of values from a key on, one after the other, and then keys and sizes."""
    found: list[tuple[str, int]] = []
    parts: list[np.ndarray] = []
    with _opened(file) as transaction:
        cursor = transaction.cursor()
        is_there = cursor.set_key(first.encode(*_TEXT))
        while is_there:
            value = np.frombuffer(cursor.value(), np.uint8)
            if found and len(value) + sum(size for _, size in found) > _PART:
                break
            found.append((bytes(cursor.key()).decode(*_TEXT), len(value)))
            parts.append(value)
            is_there = cursor.next()
        yield np.concatenate(parts) if parts else np.empty(0, np.uint8)
        yield found


@contextmanager
def _opened(file: str) -> Iterator[Any]:
    """Give a transaction that reads a file or a folder with data.mdb, without locks."""
    import lmdb

    path = Path(file)
    content = path / "data.mdb" if path.is_dir() else path
    size = content.stat().st_size
    hdf5_limits.allow(size)  # all of it is mapped into memory
    try:
        with lmdb.open(
            str(content), subdir=False, readonly=True, lock=False, readahead=False, create=False
        ) as database:
            needed = (database.info()["last_pgno"] + 1) * database.stat()["psize"]
            if needed > size:
                raise DataError(f"{file}: is {size} bytes of {needed}: it is truncated")
            with database.begin(buffers=True) as transaction:
                yield transaction
    except lmdb.Error as error:
        raise DataError(f"{file}: not readable as LMDB: {error}") from None
