"""The errors that a user can cause.

Each message is one line that names the file, dataset, key or rank and says what to do. The
commands print it once, without a traceback, and exit with the error's status. Anything else
that is raised is a bug: it keeps its traceback and ends all ranks with status 1.
"""

from __future__ import annotations


class UserError(Exception):
    """What the user gave is wrong.

    Attributes:
        status: the exit status of the command.
        on_all_ranks: whether all ranks raise it at the same place, so that each can end by itself;
            else the rank that raises it ends all.
    """

    status = 2
    on_all_ranks = False

    def __init__(self, message: str = "", on_all_ranks: bool | None = None) -> None:
        super().__init__(message)
        if on_all_ranks is not None:
            self.on_all_ranks = on_all_ranks


class ConfigError(UserError):
    """The command line or the configuration is wrong."""


class LaunchError(UserError):
    """The ranks were started in a way in which they do not find each other."""


class DataError(UserError):
    """A data file is missing, unreadable or does not hold what the configuration says."""


class CheckpointError(UserError):
    """A checkpoint is missing, damaged or belongs to another configuration."""


class RunError(UserError):
    """The run could not go on, though what the user asked for was right (disk full, say)."""

    status = 1


class Diverged(RunError):
    """The numbers of a GAN are no longer finite, or it was ended since it no longer learns."""


class Stopped(UserError):
    """The run was asked to stop, has written a checkpoint, and can be gone on with."""

    status = 85
    on_all_ranks = True
