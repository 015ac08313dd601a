"""Files that appear under their name only when they are whole.

A file is written as OUT.partial beside OUT and renamed at the end, so a killed run leaves OUT as
it was. The name is fixed: the next run replaces what a killed one left.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hpcgan.errors import ConfigError, DataError, RunError, UserError

USER_BLOCK = 512  # bytes before the HDF5 content that HDF5 leaves to us; the fewest it allows
# Errors where room may be what is missing; None: HDF5 does not report it.
_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, None)
_CHUNK_BYTES = 2**20  # HDF5's default chunk cache holds this much


def default_chunk(sample_bytes: int, samples: int) -> int:
    """Return the samples of a chunk of about 1 MiB: at least 1, at most ``samples``."""
    return min(max(1, _CHUNK_BYTES // sample_bytes), samples)


def expanded(path: str) -> str:
    """Return a path with ``~``, ``$NAME`` and ``${NAME}`` as a shell would have filled them in.

    A path that is there as it is written stays so.

    Raises:
        ConfigError: a variable is not set or empty, there is no such user, or this is no path.
    """
    if not path or "\0" in path:
        raise ConfigError(f"{path!r} is no path; was a variable meant that is not set?")
    if not {"~", "$"} & set(path) or os.path.exists(path):  # noqa: PTH110
        return path

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if not os.environ.get(name):
            raise ConfigError(f"{path}: the variable {name} is not set; set it, or write its value")
        return os.environ[name]

    home = os.path.expanduser(path)  # noqa: PTH111
    if home.startswith("~"):
        raise ConfigError(f"{path}: there is no user {home[1:].partition('/')[0]}; write ./~ for ~")
    return re.sub(r"\$(?:([A-Za-z_]\w*)|\{(\w+)\})", value, home, flags=re.ASCII)


def check_is_file(path: Path, what: str, error: type[UserError]) -> None:
    """Raise ``error`` where there is no file, of the kind ``what``, or where one may not look."""
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        is_file = False
    except OSError as reason:
        raise error(f"{path}: cannot be read: {os.strerror(reason.errno or 0)}") from None
    if not is_file:
        where = "" if path.is_absolute() else f" (seen from {Path.cwd()})"
        raise error(f"{path}: there is no such {what}{where}")


def json_lines(path: Path, *keys: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each whole line that holds a JSON object with some keys, and the object.

    Others are left out: a process that was killed leaves half a line. Without a file there are
    none.
    """
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    for line in text.splitlines(keepends=True):
        with suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict) and found.keys() >= {*keys} and line.endswith("\n"):
                yield line, found


def set_aside(path: Path, suffix: str = "") -> Path:
    """Rename to the first free of NAME and a suffix, that with .1, .2, ...; return the new path."""
    free = first = path.with_name(path.name + suffix)
    number = 0
    while os.path.lexists(free):
        number += 1
        free = first.with_name(f"{first.name}.{number}")
    return path.rename(free)


def partial_path(out: Path) -> Path:
    """Return the name under which ``out`` is written until it is whole.

    Raises:
        DataError: ``out`` is a directory, or is in none.
        RunError: one may not look into its directory.
    """
    with writing(out):
        if not out.parent.is_dir():
            raise DataError(f"{out}: there is no directory {out.parent}; make it first")
        if out.is_dir():
            raise DataError(f"{out}: is a directory; name a file")
    return out.with_name(out.name + ".partial")


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Turn what goes wrong inside while ``out`` is written into a ``RunError`` of one line."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # h5py: RuntimeError where closing a file fails
        number = getattr(error, "errno", None)
        reason = os.strerror(number) if number else " ".join(str(error).split())
        room = "make room for it or " if number in _ROOM else ""
        raise RunError(f"{out}: cannot be written: {reason}; {room}choose another place") from None


def write_whole(out: Path, content: bytes | memoryview) -> None:
    """Write a file under its partial name, wait until it is on the disk, and rename it.

    Raises:
        DataError: ``out`` is a directory, or is in none.
        RunError: the file cannot be written; an old one is then as it was.
    """
    with whole_file(out) as disk:
        disk.write(content)


@contextmanager
def whole_file(out: Path) -> Iterator[Disk]:
    """Give a file to write, which need not fit in memory, and else as ``write_whole`` does.

    Whoever writes much calls its ``check`` now and then. What is raised inside stays what it is.
    """
    partial = partial_path(out)
    try:
        with writing(out):
            disk = Disk(partial, "w+b")
        with disk:
            try:
                yield disk
            finally:
                with writing(out):
                    disk.check()  # before any error that HDF5 makes of it
            with writing(out):
                os.fsync(disk.fileno())
                partial.replace(out)
                _flush_directory(out.parent)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


@contextmanager
def whole_hdf5(out: Path, seal: Callable[[memoryview], bytes] | None = None) -> Iterator[h5py.File]:
    """Give an HDF5 file to fill, which is written to ``out`` as ``write_whole`` does.

    The content must fit in memory. HDF5 reports a full disk while it closes objects, where
    Python cannot catch it: so it writes to memory, and Python writes the file. ``seal`` gives the
    user block, ``USER_BLOCK`` bytes, from the content that follows it.
    """
    content = io.BytesIO()
    with h5py.File(content, "w", userblock_size=USER_BLOCK if seal else 0) as file:
        yield file
    whole = content.getbuffer()
    if seal:
        whole[:USER_BLOCK] = seal(whole[USER_BLOCK:])
    write_whole(out, whole)


@contextmanager
def hdf5_on_disk(out: Path) -> Iterator[h5py.File]:
    """Give an HDF5 file to fill that need not fit in memory, and else as ``write_whole`` does.

    What is raised inside stays what it is.
    """
    with whole_file(out) as disk, h5py.File(disk, "w") as file:
        yield file


class Disk(io.FileIO):
    """A file that hides a full disk from HDF5.

    HDF5 reports it while it closes objects, where Python cannot catch it. What is written after
    the first error is lost, and so is the file: ``check`` raises that error.
    """

    _error: OSError | None = None

    def check(self) -> None:
        """Raise the first error, if there was one."""
        if self._error:
            raise self._error

    def write(self, content: Any) -> int:
        """Write all of it, or note why not; return its size."""
        rest = memoryview(content).cast("B")
        size = rest.nbytes
        with self._noting():
            while rest:  # one call of the system may write fewer bytes
                rest = rest[super().write(rest) :]
        return size

    def truncate(self, size: int | None = None) -> int:
        """Give the file another size, or note why not; return that size."""
        with self._noting():
            return super().truncate(size)
        return size or 0

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Keep the first error instead of raising it."""
        try:
            yield
        except OSError as error:
            self._error = self._error or error


def read_at(descriptor: int, out: np.ndarray, offset: int) -> None:
    """Fill ``out`` with bytes of a file; one call of the system may read fewer.

    Raises:
        EOFError: the file has fewer.
    """
    rest = out.reshape(-1).view(np.uint8).data
    while rest:
        count = os.preadv(descriptor, [rest], offset)
        if not count:
            raise EOFError("the file ends before them: it is truncated")
        rest, offset = rest[count:], offset + count


def write_at(descriptor: int, array: np.ndarray, offset: int) -> None:
    """Write all bytes of ``array`` at ``offset``; one call of the system may write fewer."""
    rest = array.reshape(-1).view(np.uint8).data
    while rest:
        count = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[count:], offset + count


def _flush_directory(directory: Path) -> None:
    """Wait until a directory's names are on the disk, so that a rename outlives a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
