"""Files: the data as each node sees them, locks, reading; the run directory; node-local space."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpcgan.doctor.findings import Finding, failed, ok, warning
from hpcgan.memory import SHARED
from hpcgan.world import World

READING = 50e6  # bytes a second of a node below which reading is slow
RUN_SPACE = 2**30  # bytes that a run directory should have free
SHARED_SPACE = 2**28  # bytes that /dev/shm should have free: containers often get 64 MiB

_PART = 2**22  # bytes of one read
_MOST_BYTES, _MOST_SECONDS = 2**26, 2.0  # of reading on each node
_LEAST_BYTES = 2**22  # of which a speed is told
_PROBE = 2**20  # bytes written to see whether there is room


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
class Place:
    """A directory, or the nearest one above it that exists.

    Attributes:
        path: the directory.
        free: bytes that may be written.
        problem: why nothing can be written there, or "".
    """

    path: str
    free: int
    problem: str


@dataclass(frozen=True)
class Storage:
    """What the first rank of a node sees.

    Attributes:
        host: the node.
        sizes: bytes of the data files; None for those that cannot be opened.
        problems: why not.
        lock: what came of a lock on the first data file, such as "ENOLCK"; "" if all is well.
        read_bytes: that were read of the data.
        read_seconds: in which they were.
        local: the node-local directory: for copies, else for temporary files.
        shared: /dev/shm.
        run_dir: as rank 0 sees it; None on the others.
    """

    host: str
    sizes: dict[str, int | None] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    lock: str = ""
    read_bytes: int = 0
    read_seconds: float = 0.0
    local: Place | None = None
    shared: Place | None = None
    run_dir: Place | None = None


def gather(
    world: World, wanted: Wanted, environment: Mapping[str, str] = os.environ
) -> Storage | None:
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
    local = wanted.stage or environment.get("TMPDIR") or tempfile.gettempdir()
    return Storage(
        host=world.host,
        sizes=sizes,
        problems=problems,
        lock=_lock(seen[0]) if seen else "",
        read_bytes=read_bytes,
        read_seconds=read_seconds,
        local=look_at(local),
        shared=look_at(str(SHARED)),
        run_dir=look_at(wanted.run_dir) if world.is_root else None,
    )


def read(sent: dict[str, Any]) -> Storage:
    """Return the facts that a rank sent as JSON."""
    places = {key: sent[key] for key in ("local", "shared", "run_dir")}
    return Storage(**{**sent, **{key: each and Place(**each) for key, each in places.items()}})


def look_at(directory: str) -> Place:
    """Return what is known of a directory, after a probe was written there and deleted."""
    path = Path(directory).absolute()
    while not path.is_dir() and path != path.parent:
        path = path.parent
    try:
        space = os.statvfs(path)
        with tempfile.TemporaryFile(dir=path, prefix=".hpcgan-doctor-") as probe:
            probe.write(b"\1" * _PROBE)
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return Place(str(path), 0, os.strerror(error.errno or 0))
    return Place(str(path), space.f_bavail * space.f_frsize, "")


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


def judge(nodes: list[Storage], wanted: Wanted) -> list[Finding]:
    """Return the findings.

    Args:
        nodes: the facts of each node; rank 0's first.
        wanted: what the run would read and write.
    """
    findings = []
    if wanted.files:
        findings += [_data(nodes), _locking(nodes, wanted), _reading(nodes)]
    return [*findings, _run_dir(nodes[0]), _local(nodes, wanted), _shared(nodes)]


def _data(nodes: list[Storage]) -> Finding:
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
    total = sum(size or 0 for size in nodes[0].sizes.values())
    return ok("data", f"{seen} {count} file{'s' * (count > 1)} of {_bytes(total)}")


def _locking(nodes: list[Storage], wanted: Wanted) -> Finding:
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


def _reading(nodes: list[Storage]) -> Finding:
    """Judge how fast the data is read by all nodes at once."""
    enough = [node for node in nodes if node.read_bytes >= _LEAST_BYTES]
    if len(enough) < len(nodes):
        return ok("reading", "the data is too small to time")
    slowest = min(enough, key=lambda node: node.read_bytes / node.read_seconds)
    speed = slowest.read_bytes / slowest.read_seconds
    where = f", slowest on {slowest.host}, all at once" if len(nodes) > 1 else ""
    text = f"{_bytes(speed)}/s a node{where} (after it was dropped from the node's memory)"
    if speed < READING:
        return warning(
            "reading",
            f"{text}; it should be {_bytes(READING)}/s",
            "copy the data to the nodes' own disks (data.stage) or to the fast file system",
            bytes_per_second=speed,
        )
    return ok("reading", text, bytes_per_second=speed)


def _run_dir(root: Storage) -> Finding:
    """Judge the place where rank 0 writes."""
    place = root.run_dir
    assert place is not None
    if place.problem:
        return failed(
            "run directory",
            f"{place.path}: nothing can be written there: {place.problem}",
            "make room for it or choose another (--run-dir)",
        )
    text = f"{place.path}: {_bytes(place.free)} free"
    if place.free < RUN_SPACE:
        return warning("run directory", text, "checkpoints need room; choose another (--run-dir)")
    return ok("run directory", text, free_bytes=place.free)


def _local(nodes: list[Storage], wanted: Wanted) -> Finding:
    """Judge the directory for copies of the data if they are wanted, else for temporary files."""
    places = [(node.host, node.local) for node in nodes if node.local]
    host, least = min(places, key=lambda each: each[1].free)
    what = "data.stage" if wanted.stage else "temporary files"
    text = f"{least.path} ({what}): {_bytes(least.free)} free on {host}"
    broken = next(((host, place) for host, place in places if place.problem), None)
    if broken:
        host, place = broken
        finding = failed if wanted.stage else warning
        return finding(
            "node-local space",
            f"{place.path} ({what}): nothing can be written there on {host}: {place.problem}",
            "make room there or choose another directory",
        )
    # Each node copies what its shards hold: about its part.
    need = sum(size or 0 for size in nodes[0].sizes.values()) // len(nodes)
    if wanted.stage and least.free < need:
        return failed(
            "node-local space",
            f"{text}, and a node's part of the data has about {_bytes(need)}",
            "make room there, choose another data.stage or leave it out, or take more nodes",
            free_bytes=least.free,
            needed_bytes=need,
        )
    return ok("node-local space", text, free_bytes=least.free)


def _shared(nodes: list[Storage]) -> Finding:
    """Judge the memory that the ranks of a node share."""
    places = [(node.host, node.shared) for node in nodes if node.shared]
    host, least = min(places, key=lambda each: each[1].free)
    text = f"{least.path}: {_bytes(least.free)} free on {host}"
    if least.problem or least.free < SHARED_SPACE:
        return warning(
            "shared memory",
            f"{text}{least.problem and ': ' + least.problem}",
            "MPI and data that the ranks of a node share need it: containers get more by "
            "--shm-size, or data.residency: stream",
            free_bytes=least.free,
        )
    return ok("shared memory", text, free_bytes=least.free)


def _bytes(count: float) -> str:
    """Return bytes in a unit that leaves few digits."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
