"""The data: whether all nodes see the same files, locks on them, and how fast they are read."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpcgan.doctor.findings import Finding, failed, in_bytes, ok, warning
from hpcgan.world import World

READING = 50e6  # bytes a second of a node below which reading is slow

_PART = 2**22  # bytes of one read
_MOST_BYTES, _MOST_SECONDS = 2**26, 2.0  # of reading on each node
_LEAST_BYTES = 2**22  # of which a speed is told


@dataclass(frozen=True)
class Wanted:
    """What a run would read and write.

    Attributes:
        files: the data files.
        stage: the directory for copies on each node's own disk, or None.
        run_dir: the run directory, or the current one if no run is known.
    """

    files: list[str]
    stage: str | None
    run_dir: str


@dataclass(frozen=True)
class Data:
    """What the first rank of a node sees.

    Attributes:
        host: the node.
        sizes: bytes of the data files; None for those that cannot be opened.
        problems: why not.
        lock: what came of a lock on the first data file, such as "ENOLCK"; "" if all is well.
        read_bytes: that were read of the data.
        read_seconds: in which they were.
    """

    host: str
    sizes: dict[str, int | None] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    lock: str = ""
    read_bytes: int = 0
    read_seconds: float = 0.0

    @property
    def total(self) -> int:
        """Bytes of all data files."""
        return sum(size or 0 for size in self.sizes.values())


def gather(world: World, wanted: Wanted) -> Data | None:
    """Return this node's facts on its first rank, None on the others."""
    if world.node_rank:
        return None
    sizes: dict[str, int | None] = {}
    problems: dict[str, str] = {}
    for file in wanted.files:
        try:
            with Path(file).open("rb") as opened:
                sizes[file] = os.fstat(opened.fileno()).st_size
        except OSError as error:
            sizes[file], problems[file] = None, os.strerror(error.errno or 0)
    seen = [file for file in wanted.files if sizes[file]]
    read_bytes, read_seconds = _read(seen, world.rank)
    return Data(
        host=world.host,
        sizes=sizes,
        problems=problems,
        lock=_lock(seen[0]) if seen else "",
        read_bytes=read_bytes,
        read_seconds=read_seconds,
    )


def read(sent: dict[str, Any]) -> Data:
    """Return the facts that a rank sent as JSON."""
    return Data(**sent)


def _lock(file: str) -> str:
    """Try the lock that HDF5 takes when it opens a file for reading; return what went wrong."""
    with Path(file).open("rb") as opened:
        try:
            fcntl.flock(opened.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return errno.errorcode.get(error.errno or 0, str(error.errno))
    return ""


def _read(files: list[str], first: int) -> tuple[int, float]:
    """Read parts of files from the disk; return the bytes, and the seconds that it took.

    Nodes begin at different files and places, so that none reads what another has just fetched.
    """
    parts = [
        (file, start) for file in files[:64] for start in range(0, Path(file).stat().st_size, _PART)
    ]
    if parts:
        turn = first * (_MOST_BYTES // _PART) % len(parts)
        parts = (parts[turn:] + parts[:turn])[: _MOST_BYTES // _PART]
    read, began = 0, time.perf_counter()
    for file, start in parts:
        with suppress(OSError), Path(file).open("rb") as opened:
            # What this node's memory holds of the file would hide the disk.
            os.posix_fadvise(opened.fileno(), start, _PART, os.POSIX_FADV_DONTNEED)
            read += len(os.pread(opened.fileno(), _PART, start))
        if time.perf_counter() - began > _MOST_SECONDS:
            break
    return read, time.perf_counter() - began


def judge(nodes: list[Data], wanted: Wanted) -> list[Finding]:
    """Return the findings.

    Args:
        nodes: the facts of each node; rank 0's first.
        wanted: what the run would read and write.
    """
    if not wanted.files:
        return []
    return [_data(nodes), _locking(nodes, wanted), _reading(nodes)]


def _data(nodes: list[Data]) -> Finding:
    """Judge whether all nodes see the same data files."""
    advice = "put the data where every node sees it, or copy it to the same place on each"
    for node in nodes:
        if node.problems:
            file, why = next(iter(node.problems.items()))
            others = f" ({len(node.problems)} files)" if len(node.problems) > 1 else ""
            where = node.host if any(file not in each.problems for each in nodes) else "any node"
            return failed("data", f"{file}: cannot be seen on {where}: {why}{others}", advice)
    for node in nodes:
        for file, size in node.sizes.items():
            first = nodes[0].sizes[file]
            if size != first:
                return failed(
                    "data",
                    f"{file}: has {size} bytes on {node.host} and {first} on {nodes[0].host}",
                    advice,
                )
    count = len(nodes[0].sizes)
    seen = f"all {len(nodes)} nodes see" if len(nodes) > 1 else "there are"
    return ok("data", f"{seen} {count} file{'s' * (count > 1)} of {in_bytes(nodes[0].total)}")


def _locking(nodes: list[Data], wanted: Wanted) -> Finding:
    """Judge HDF5's file locks, which hpcgan itself does not use for reading."""
    for node in nodes:
        if node.lock in ("EWOULDBLOCK", "EAGAIN"):
            return warning(
                "HDF5 locks",
                f"{wanted.files[0]} is locked by a program that has it open for writing",
                "wait for it: what is read meanwhile may be half written",
            )
        if node.lock:
            return warning(
                "HDF5 locks",
                f"{wanted.files[0]}: no lock on {node.host} ({node.lock}): its file system has "
                "none",
                "hpcgan reads without; other programs need HDF5_USE_FILE_LOCKING=FALSE; make "
                "sure yourself that one run alone writes in a run directory",
            )
    return ok("HDF5 locks", "work where the data is")


def _reading(nodes: list[Data]) -> Finding:
    """Judge how fast the data is read by all nodes at once."""
    enough = [node for node in nodes if node.read_bytes >= _LEAST_BYTES]
    if len(enough) < len(nodes):
        return ok("reading", "the data is too small to time")
    slowest = min(enough, key=lambda node: node.read_bytes / node.read_seconds)
    speed = slowest.read_bytes / slowest.read_seconds
    where = f", slowest on {slowest.host}, all at once" if len(nodes) > 1 else ""
    text = f"{in_bytes(speed)}/s a node{where} (after it was dropped from the node's memory)"
    if speed < READING:
        return warning(
            "reading",
            f"{text}; it should be {in_bytes(READING)}/s",
            "copy the data to the nodes' own disks (data.stage) or to the fast file system",
            bytes_per_second=speed,
        )
    return ok("reading", text, bytes_per_second=speed)
