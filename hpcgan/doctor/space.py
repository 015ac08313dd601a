"""Room to write: the run directory, the node's own disk, the memory that its ranks share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpcgan.doctor.data import Wanted
from hpcgan.doctor.findings import Finding, failed, in_bytes, ok, warning
from hpcgan.memory import SHARED
from hpcgan.world import World

RUN_SPACE = 2**30  # bytes that a run directory should have free
SHARED_SPACE = 2**28  # bytes that /dev/shm should have free: containers often get 64 MiB

_PROBE = 2**20  # bytes written to see whether there is room


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
class Space:
    """What the first rank of a node sees.

    Attributes:
        host: the node.
        local: the node-local directory: for copies, else for temporary files.
        shared: /dev/shm.
        run_dir: as rank 0 sees it; None on the others.
    """

    host: str
    local: Place
    shared: Place
    run_dir: Place | None


def gather(
    world: World, wanted: Wanted, environment: Mapping[str, str] = os.environ
) -> Space | None:
    """Return this node's facts on its first rank, None on the others."""
    if world.node_rank:
        return None
    local = wanted.stage or environment.get("TMPDIR") or tempfile.gettempdir()
    run_dir = look_at(wanted.run_dir) if world.is_root else None
    return Space(world.host, look_at(local), look_at(str(SHARED)), run_dir)


def read(sent: dict[str, Any]) -> Space:
    """Return the facts that a rank sent as JSON."""
    places = {key: sent[key] for key in ("local", "shared", "run_dir")}
    return Space(sent["host"], **{key: each and Place(**each) for key, each in places.items()})


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


def judge(nodes: list[Space], wanted: Wanted, data_bytes: int) -> list[Finding]:
    """Return the findings.

    Args:
        nodes: the facts of each node; rank 0's first.
        wanted: what the run would read and write.
        data_bytes: of all data files.
    """
    return [_run_dir(nodes[0].run_dir), _local(nodes, wanted, data_bytes), _shared(nodes)]


def _run_dir(place: Place | None) -> Finding:
    """Judge the place where rank 0 writes."""
    assert place is not None
    if place.problem:
        return failed(
            "run directory",
            f"{place.path}: nothing can be written there: {place.problem}",
            "make room for it or choose another (--run-dir)",
        )
    text = f"{place.path}: {in_bytes(place.free)} free"
    if place.free < RUN_SPACE:
        return warning("run directory", text, "checkpoints need room; choose another (--run-dir)")
    return ok("run directory", text, free_bytes=place.free)


def _local(nodes: list[Space], wanted: Wanted, data_bytes: int) -> Finding:
    """Judge the directory for copies of the data if they are wanted, else for temporary files."""
    places = [(node.host, node.local) for node in nodes]
    host, least = min(places, key=lambda each: each[1].free)
    what = "data.stage" if wanted.stage else "temporary files"
    text = f"{least.path} ({what}): {in_bytes(least.free)} free on {host}"
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
    need = data_bytes // len(nodes)
    if wanted.stage and least.free < need:
        return failed(
            "node-local space",
            f"{text}, and a node's part of the data has about {in_bytes(need)}",
            "make room there, choose another data.stage or leave it out, or take more nodes",
            free_bytes=least.free,
            needed_bytes=need,
        )
    return ok("node-local space", text, free_bytes=least.free)


def _shared(nodes: list[Space]) -> Finding:
    """Judge the memory that the ranks of a node share."""
    places = [(node.host, node.shared) for node in nodes]
    host, least = min(places, key=lambda each: each[1].free)
    text = f"{least.path}: {in_bytes(least.free)} free on {host}"
    if least.problem or least.free < SHARED_SPACE:
        return warning(
            "shared memory",
            f"{text}{least.problem and ': ' + least.problem}",
            "MPI and data that the ranks of a node share need it: containers get more by "
            "--shm-size, or data.residency: stream",
            free_bytes=least.free,
        )
    return ok("shared memory", text, free_bytes=least.free)
