"""A run's files and directories as each node sees them: the same data, read fast; room to write."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hpcgan.doctor.findings import Finding, Findings, Status, failed, ok, warning
from hpcgan.errors import ConfigError
from hpcgan.memory import SHARED, format_bytes
from hpcgan.world import World

READING = 50e6  # bytes per second of a node below which reading is slow
RUN_SPACE = 2**30  # bytes that a run directory should have free
SHARED_SPACE = 2**28  # bytes that /dev/shm should have free: containers often get 64 MiB

_PART = 2**22  # bytes of one read
_MOST_BYTES, _MOST_SECONDS = 2**26, 2.0  # of reading on each node
_PROBE = 2**20  # bytes written to see whether there is room


@dataclass(frozen=True)
class RunPaths:
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
class Storage:
    """What the first rank of a node sees.

    Attributes:
        host: the node.
        files: bytes of each data file, or why it cannot be opened.
        lock: the error of a lock on the first data file, such as "ENOLCK"; "" if it works.
        bytes_per_second: of reading the data; None if they are too small to time.
        places: the nearest directory that exists, its free bytes, and why nothing can be written
            there or "": by check. The run directory is looked at by rank 0 alone.
    """

    host: str
    files: dict[str, int | str] = field(default_factory=dict)
    lock: str = ""
    bytes_per_second: float | None = None
    places: dict[str, tuple[str, int, str]] = field(default_factory=dict)


def run_paths(config: str | None, overrides: list[str], run_dir: Path | None) -> RunPaths:
    """Return what a run would read and write, by default in runs/NAME; ``config`` is its YAML file.

    Raises:
        UserError: the configuration is wrong, or a pattern fits no file.
    """
    if config is None:
        if overrides:
            raise ConfigError(
                f"unrecognized arguments: {' '.join(overrides)}; see hpcgan doctor --help"
            )
        return RunPaths([], None, str(run_dir or Path.cwd()))
    from hpcgan.config_file import load
    from hpcgan.data.source import list_files
    from hpcgan.files import expanded

    read = load(config, overrides)
    stage = expanded(read.data.stage) if read.data.stage else None
    return RunPaths(list_files(read.data.files), stage, str(run_dir or Path("runs") / read.name))


def gather(world: World, paths: RunPaths) -> Storage | None:
    """Return this node's facts on its first rank, None on the others."""
    if world.node_rank:
        return None
    files = {file: _size(file) for file in paths.files}
    seen = [file for file, size in files.items() if isinstance(size, int) and size]
    places = {
        "node-local space": look_at(paths.stage or tempfile.gettempdir()),
        "shared memory": look_at(str(SHARED)),
    }
    if world.is_root:
        places["run directory"] = look_at(paths.run_dir)
    return Storage(
        host=world.host,
        files=files,
        lock=_lock(seen[0]) if seen else "",
        bytes_per_second=_read(seen, world.rank),
        places=places,
    )


def _size(file: str) -> int | str:
    """Return a file's bytes, or why it cannot be opened."""
    try:
        with Path(file).open("rb") as opened:
            return os.fstat(opened.fileno()).st_size
    except OSError as error:
        return os.strerror(error.errno or 0)


def _lock(file: str) -> str:
    """Try the lock that HDF5 takes when it opens a file for reading; return what went wrong."""
    with Path(file).open("rb") as opened:
        try:
            fcntl.flock(opened.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return errno.errorcode.get(error.errno or 0, str(error.errno))
    return ""


def _read(files: list[str], rank: int) -> float | None:
    """Read parts of files from the disk; return bytes per second, None of too little.

    Nodes begin at different files and places, so that none reads what another has just fetched.
    """
    parts = [
        (file, start) for file in files[:64] for start in range(0, Path(file).stat().st_size, _PART)
    ]
    most = _MOST_BYTES // _PART
    turn = rank * most % max(1, len(parts))
    count, began = 0, time.perf_counter()
    for file, start in (parts[turn:] + parts[:turn])[:most]:
        with suppress(OSError), Path(file).open("rb") as opened:
            # What this node's memory holds of the file would hide the disk.
            os.posix_fadvise(opened.fileno(), start, _PART, os.POSIX_FADV_DONTNEED)
            count += len(os.pread(opened.fileno(), _PART, start))
        if time.perf_counter() - began > _MOST_SECONDS:
            break
    return count / (time.perf_counter() - began) if count >= _PART else None


def look_at(directory: str) -> tuple[str, int, str]:
    """Return a directory, or the nearest above it that exists; its free bytes; why a probe could
    not be written there, or "".
    """
    path = Path(directory).absolute()
    while not path.is_dir() and path != path.parent:
        path = path.parent
    try:
        free = shutil.disk_usage(path).free
        with tempfile.TemporaryFile(dir=path, prefix=".hpcgan-doctor-") as probe:
            probe.write(b"\1" * _PROBE)
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return str(path), 0, os.strerror(error.errno or 0)
    return str(path), free, ""


def evaluate(nodes: list[Storage], paths: RunPaths) -> Findings:
    """Evaluate the facts of all nodes, rank 0's first, for a run of these paths."""
    findings: Findings = {}
    part = 0
    if paths.files:
        findings = {"data": _data(nodes), "HDF5 locks": _locks(nodes), "reading": _reading(nodes)}
    if paths.stage:  # each node copies what its shards hold: about its part
        part = sum(size for size in nodes[0].files.values() if isinstance(size, int)) // len(nodes)
    # Bytes that should be free; the status if there are fewer, or nothing can be written; advice.
    rooms: dict[str, tuple[int, Status, Status, str]] = {
        "run directory": (RUN_SPACE, "warning", "failed", "make room, or use another --run-dir"),
        "node-local space": (
            part,
            "failed",
            "failed" if paths.stage else "warning",
            "make room there, choose another data.stage (or TMPDIR), or take more nodes",
        ),
        "shared memory": (
            SHARED_SPACE,
            "warning",
            "warning",
            "MPI and data that the ranks of a node share need it: containers get more by "
            "--shm-size, or data.residency: stream",
        ),
    }
    return findings | {check: _room(nodes, check, *room) for check, room in rooms.items()}


def _data(nodes: list[Storage]) -> Finding:
    """Check whether all nodes see the same data files."""
    advice = "put the data where every node sees it, or copy it to the same place on each"
    first = nodes[0]
    for file, size in first.files.items():
        for node in nodes:
            own = node.files[file]
            if isinstance(own, str):
                blind = all(isinstance(each.files[file], str) for each in nodes)
                where = "any node" if blind else node.host
                return failed(f"{file}: cannot be seen on {where}: {own}", advice)
            if own != size and isinstance(size, int):
                text = f"{file}: has {own} bytes on {node.host} and {size} on {first.host}"
                return failed(text, advice)
    count, total = len(first.files), sum(map(int, first.files.values()))
    seen = f"all {len(nodes)} nodes see" if len(nodes) > 1 else "there are"
    return ok(f"{seen} {count} file{'s' * (count > 1)} of {format_bytes(total)}")


def _locks(nodes: list[Storage]) -> Finding:
    """Evaluate HDF5's file locks, which hpcgan itself does not use for reading."""
    node = next((node for node in nodes if node.lock), None)
    if node is None:
        return ok("work where the data is")
    text = f"{next(iter(node.files))}: no lock on {node.host} ({node.lock})"
    if node.lock in ("EWOULDBLOCK", "EAGAIN"):
        advice = "wait for it: what is read meanwhile may be half written"
        return warning(f"{text}: a program has it open for writing", advice)
    return warning(
        f"{text}: its file system has none",
        "hpcgan reads without; other programs need HDF5_USE_FILE_LOCKING=FALSE; make sure "
        "yourself that one run alone writes in a run directory",
    )


def _reading(nodes: list[Storage]) -> Finding:
    """Evaluate how fast the data is read by all nodes at once."""
    speeds = [(each.bytes_per_second, each.host) for each in nodes if each.bytes_per_second]
    if len(speeds) < len(nodes):
        return ok("the data is too small to time")
    speed, host = min(speeds)
    where = f", slowest on {host}, all at once" if len(nodes) > 1 else ""
    text = f"{format_bytes(speed)}/s per node{where} (after it was dropped from the node's memory)"
    if speed < READING:
        return warning(
            f"{text}; it should be {format_bytes(READING)}/s",
            "copy the data to the nodes' own disks (data.stage) or to the fast file system",
            bytes_per_second=speed,
        )
    return ok(text, bytes_per_second=speed)


def _room(
    nodes: list[Storage], check: str, need: int, little: Status, broken: Status, advice: str
) -> Finding:
    """Evaluate a directory on the nodes that have looked at it."""
    seen = [(*node.places[check], node.host) for node in nodes if check in node.places]
    path, free, problem, host = min(seen, key=lambda each: each[1])
    if problem:
        return Finding(broken, f"{path}: nothing can be written there on {host}: {problem}", advice)
    text = f"{path}: {format_bytes(free)} free on {host}"
    if free < need:
        text += f"; it should have {format_bytes(need)}"
        return Finding(little, text, advice, {"free_bytes": free, "needed_bytes": need})
    return ok(text, free_bytes=free)
