"""The last bytes of a part, by which it is known to be whole: its seal.

They are readable as text: the format, the SHA-256 of the fingerprint of the samples, and that of
all bytes before the seal. HDF5 and ROOT take no notice of what follows a file's content. (In front
of it, where HDF5 has room for others, a run could no longer read the chunks by itself.)
"""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

from hpcgan.errors import DataError

_FORMAT = "hpcgan-samples-1"
_BYTES = 256
_READ_BYTES = 2**20


def add(file: io.FileIO, fingerprint: str) -> None:
    """Seal a whole file that is open for reading and writing."""
    size = os.fstat(file.fileno()).st_size
    text = _text(digest(fingerprint), _digest(file, size))
    file.seek(size)
    file.write(text)


def fingerprint_of(path: Path) -> str | None:
    """Return the SHA-256 of the fingerprint of a part; None for a file without a seal.

    Raises:
        DataError: it cannot be read.
    """
    lines = _read(path).splitlines()
    is_sealed = len(lines) > 1 and lines[0] == _FORMAT.encode()
    return lines[1].decode(errors="replace") if is_sealed else None


def is_whole(path: Path, fingerprint: str) -> bool:
    """Return whether a part of some samples is as it was written.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = _digest(file, path.stat().st_size - _BYTES)
    except OSError as error:
        raise _unreadable(path, error) from None
    return _read(path) == _text(digest(fingerprint), content)


def digest(fingerprint: str) -> str:
    """Return the SHA-256 of a fingerprint, as it stands in the seal."""
    return hashlib.sha256(fingerprint.encode()).hexdigest()


def _read(path: Path) -> bytes:
    """Return the bytes where the seal is."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _BYTES))
            return file.read()
    except OSError as error:
        raise _unreadable(path, error) from None


def _digest(file: io.FileIO | io.BufferedReader, size: int) -> str:
    """Return the SHA-256 of the first bytes of a file."""
    found = hashlib.sha256()
    file.seek(0)
    while size > 0 and (content := file.read(min(size, _READ_BYTES))):
        found.update(content)
        size -= len(content)
    return found.hexdigest()


def _text(fingerprint: str, content: str) -> bytes:
    return f"{_FORMAT}\n{fingerprint}\n{content}\n".encode().ljust(_BYTES, b"\0")


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"{path}: cannot be read: {os.strerror(error.errno or 0)}")
