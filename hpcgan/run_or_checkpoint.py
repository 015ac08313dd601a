"""The checkpoint that a command is given, by its own path or by that of its run."""

from __future__ import annotations

import os
from pathlib import Path

from hpcgan import checkpoint, population_commit
from hpcgan.checkpoint import Checkpoint
from hpcgan.errors import CheckpointError, ConfigError


def find(path: Path) -> Checkpoint:
    """Return the checkpoint that a path is, or the newest whole one of a run directory.

    Raises:
        CheckpointError: there is none, or it is damaged.
        ConfigError: the directory is a population's.
    """
    if not os.path.isdir(path):  # noqa: PTH112  # Path's raises where one may not look
        return checkpoint.read(path)
    if population_commit.read(path):
        raise ConfigError(
            f"{path}: is a population's; name a member, {path / 'member_0'} say (hpcgan generate "
            "--ensemble mixes all)"
        )
    found, _ = checkpoint.newest(path / "checkpoints")
    if found is None:
        raise CheckpointError(f"{path}: there is no whole checkpoint")
    return found
