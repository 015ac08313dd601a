"""Which checkpoints of a run stay: old ones are deleted, damaged and later ones renamed."""

from __future__ import annotations

import os
from pathlib import Path

from hpcgan.checkpoint import Checkpoint, check_seal, paths, step_of
from hpcgan.errors import CheckpointError, RunError
from hpcgan.files import set_aside


def has_any(run_dir: Path) -> bool:
    """Return whether a run, or a member of a population, has begun to write checkpoints."""
    places = [run_dir, *run_dir.glob("member_*")]
    return any(paths(place / "checkpoints") for place in places)


def prune(written: Path, keep: int, keep_every: int | None = None) -> None:
    """Delete old checkpoints, and the incomplete file of a killed run.

    Args:
        written: the checkpoint just written. A file with the name of a later one is not of this
            run: it does not count, and stays.
        keep: the newest ones, which stay.
        keep_every: those of steps that are multiples of it stay too; None for none.

    Raises:
        RunError: one cannot be deleted.
    """
    directory, last = written.parent, step_of(written)
    try:
        own = [path for path in paths(directory) if step_of(path) <= last and path.is_file()]
        old = own[:-keep]
        if keep_every is not None:
            old = [path for path in old if step_of(path) % keep_every]
        for path in [*old, *directory.glob("step_*.h5.partial")]:
            path.unlink(missing_ok=True)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise RunError(
            f"{error.filename or directory}: cannot be deleted: {reason}; delete it yourself, or "
            "allow this user to"
        ) from None


def set_aside_after(directory: Path, found: Checkpoint, why: str) -> list[Path]:
    """Rename files with names of later checkpoints than ``found``, from which the run resumes.

    If ``found`` is from another directory, the file with its name is renamed, too. The new names
    are returned: NAME.WHY, or the first free of NAME.WHY.1, NAME.WHY.2, ...
    """
    return [
        set_aside(path, f".{why}")
        for path in paths(directory)
        if step_of(path) > found.step
        or (step_of(path) == found.step and not path.samefile(found.path))
    ]


def set_aside_damaged(directory: Path, keep: int) -> list[Path]:
    """Rename damaged files among the newest, until ``keep`` whole ones are found.

    Older ones are not read: they will be deleted. The new names are returned.
    """
    aside: list[Path] = []
    whole = 0
    for path in reversed(paths(directory)):
        try:
            check_seal(path)
            whole += 1
        except (OSError, CheckpointError):
            aside.append(set_aside(path, ".damaged"))
        if whole == keep:
            break
    return aside
