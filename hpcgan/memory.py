"""How much memory the processes of this node may still take."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

SHARED = Path("/dev/shm")  # where the memory that the ranks of a node share is kept

_CGROUPS = Path("/sys/fs/cgroup")


def free_memory() -> int:
    """Return bytes: what the system has available, or the job's limit leaves, if that is less."""
    free = [_available()]
    for path in _own_cgroups():
        with suppress(OSError, ValueError, KeyError):
            limit = _number(path, "memory.max", "memory.limit_in_bytes")
            free.append(limit - _used(path))
    return max(0, min(free))


def free_shared_memory() -> int:
    """Return bytes that the ranks of this node can still share."""
    return min(shutil.disk_usage(SHARED).free, free_memory())


def format_bytes(count: float) -> str:
    """Return bytes in a unit that leaves few digits."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _available() -> int:
    """Return the system's free memory with what it can reclaim, in bytes."""
    for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/meminfo has no line MemAvailable")


def _own_cgroups() -> list[Path]:
    """Return this process's memory cgroup (version 1 or 2) and those around it."""
    found: list[Path] = []
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        own = _CGROUPS / controllers / path.lstrip("/")
        found += [own, *(parent for parent in own.parents if _CGROUPS in [parent, *parent.parents])]
    return found


def _used(cgroup: Path) -> int:
    """Return a cgroup's use in bytes, without files' content that can be dropped at once."""
    statistics = dict(
        line.split() for line in (cgroup / "memory.stat").read_text(encoding="utf-8").splitlines()
    )
    droppable = int(statistics.get("total_inactive_file", statistics.get("inactive_file", 0)))
    return _number(cgroup, "memory.current", "memory.usage_in_bytes") - droppable


def _number(cgroup: Path, *names: str) -> int:
    """Return the number in the first of some files that is there; ValueError if there is none."""
    for name in names:
        if (cgroup / name).exists():
            return int((cgroup / name).read_text(encoding="utf-8"))
    raise ValueError(cgroup)
