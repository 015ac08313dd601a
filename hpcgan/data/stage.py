"""Staging: the bytes that a node needs, copied once to a disk of its own before they are used.

Where the places of the chunks are known, only those that the node's shards hold are copied, to
the same places of a file that is empty elsewhere; of other files all is. The ranks of a node share
the work. Each part is read back and compared before it counts.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path

import numpy as np

from hpcgan.data.chunks import ChunkReader
from hpcgan.data.shards import ChunkSlice
from hpcgan.errors import DataError
from hpcgan.files import expanded, read_at, write_at
from hpcgan.world import World

_PART = 2**26  # bytes copied at once

_Extent = tuple[int, int, int]  # number of the file, first byte, bytes
_Run = tuple[int, int, int]  # number of the file, first byte, last byte + 1


@contextmanager
def staged(
    world: World, where: str, reader: ChunkReader, slices: list[ChunkSlice]
) -> Iterator[None]:
    """Let ``reader`` read copies on the node's own disk; delete them in the end.

    All ranks must enter it; those of a node with the same ``slices``. What a killed run left in
    the same place is deleted too.

    Raises:
        DataError: there is no room, or a copy is not what was copied; the same on all ranks.
    """
    extents = world.all_or_raise(lambda: _extents(reader, slices))
    with ExitStack() as stack:
        own = world.all_or_raise(
            lambda: (
                stack.enter_context(_directory(where, extents)) if world.node_rank == 0 else None
            )
        )
        # The first rank of each node has the directory.
        directories = world.gather_json(own and str(own))
        directory = Path(directories[world.node_ranks[0]])
        share = extents[world.node_rank :: world.node_size]
        world.all_or_raise(lambda: _copy(reader, directory, share))
        for file in reader.paths:
            reader.paths[file] = str(_copy_path(directory, reader, file))
        yield
        world.barrier()  # nobody reads any more


@contextmanager
def _directory(where: str, extents: list[_Extent]) -> Iterator[Path]:
    """Give a directory of this run alone; delete it in the end, and first those of dead runs.

    Raises:
        ConfigError: its path names a variable that is not set.
        DataError: it cannot be made, or the disk has less room than ``extents`` need.
    """
    place = Path(expanded(where))
    try:
        place.mkdir(parents=True, exist_ok=True)
        _delete_left(place)
        free = shutil.disk_usage(place).free
        path, lock = _make(place)
    except OSError as error:
        raise DataError(
            f"{where}: the data cannot be staged there (data.stage): {error.strerror}"
        ) from None
    try:
        need = sum(size for _, _, size in extents)
        if need > free:
            raise DataError(
                f"{where}: the data to stage need {need} bytes, and {free} are free (data.stage)"
            )
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _make(place: Path) -> tuple[Path, int]:
    """Make a directory that no one else has; return it and the descriptor of its lock."""
    for number in count():
        path = place / f"hpcgan-stage-{os.getpid()}-{number}"
        with suppress(FileExistsError, FileNotFoundError):
            path.mkdir()
            lock = os.open(path, os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists():  # else another run took it for one that was left
                return path, lock
    raise AssertionError


def _delete_left(place: Path) -> None:
    """Delete what killed runs left: their locks went with them."""
    for path in place.glob("hpcgan-stage-*"):
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)


def _extents(reader: ChunkReader, slices: list[ChunkSlice]) -> list[_Extent]:
    """Return the parts of files to copy, none larger than ``_PART``, ascending."""
    runs: list[_Run] = []
    for file, path in reader.paths.items():
        if file in reader.views:
            raise DataError(
                f"{path}: a view of other files cannot be staged; name those files in data.files"
            )
        if reader.places[file] is None:
            runs.append((file, 0, Path(path).stat().st_size))
    source = reader.source
    for chunk_slice in slices:
        file, first = source.locate(int(chunk_slice[0]))
        last = first + int(chunk_slice[-1]) - int(chunk_slice[0])
        places = reader.places[file]
        if places is not None:
            runs += [(file, *bytes_) for bytes_ in places.find(first, last, source.sample_bytes)]
    return [
        (file, start, min(_PART, stop - start))
        for file, begin, stop in _joined(sorted(runs))
        for start in range(begin, stop, _PART)
    ]


def _joined(runs: list[_Run]) -> list[_Run]:
    """Return ascending runs of bytes, those that touch or overlap as one."""
    joined: list[_Run] = []
    for file, begin, stop in runs:
        if joined and joined[-1][0] == file and begin <= joined[-1][2]:
            joined[-1] = (file, joined[-1][1], max(joined[-1][2], stop))
        elif begin < stop:
            joined.append((file, begin, stop))
    return joined


def _copy_path(directory: Path, reader: ChunkReader, file: int) -> Path:
    """Return where the copy of a file is."""
    return directory / f"{file:06d}-{Path(reader.source.files[file]).name}"


def _copy(reader: ChunkReader, directory: Path, share: list[_Extent]) -> None:
    """Copy parts of files and compare what arrived."""
    for file, begin, size in share:
        path, out = reader.source.files[file], _copy_path(directory, reader, file)
        content, arrived = np.empty(size, np.uint8), np.empty(size, np.uint8)
        try:
            with Path(path).open("rb") as original:
                read_at(original.fileno(), content, begin)
            descriptor = os.open(out, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                write_at(descriptor, content, begin)
                os.fdatasync(descriptor)
                # Read back what the disk holds, not what the system remembers.
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                read_at(descriptor, arrived, begin)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise DataError(
                f"{path}: cannot be staged to {directory} (data.stage): {error.strerror}"
            ) from None
        except EOFError:
            raise DataError(f"{path}: ends before byte {begin + size}: it is truncated") from None
        if not np.array_equal(arrived, content):
            raise DataError(f"{path}: its copy in {directory} differs: is that disk healthy?")
