"""What the commands of hpcgan and hpcgan-data share: from words to an exit status.

0 done; 1 failed; 2 the command line, config or data are wrong. A user error is printed once, by
rank 0 if all ranks have it; if one rank alone has it, that rank prints it and ends the others.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn

from hpcgan import launch
from hpcgan.errors import ConfigError, UserError
from hpcgan.files import expanded
from hpcgan.world import World


class Parser(argparse.ArgumentParser):
    """A parser that raises: under mpirun argparse itself would print its error a rank.

    ``~`` and variables are expanded in options that are a Path, also where no shell does it, as in
    ``--out=~/x``.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Make it as ``argparse.ArgumentParser`` does."""
        super().__init__(*arguments, **options)
        self.register("type", Path, _path)

    def error(self, message: str) -> NoReturn:
        """Raise ``message`` as a ``ConfigError``."""
        raise ConfigError(f"{message}; see {self.prog} --help")


def _path(word: str) -> Path:
    """Return an option's path, expanded."""
    try:
        return Path(expanded(word))
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(program: str, parse: Callable[[], argparse.Namespace]) -> int:
    """Run one command on all ranks.

    Args:
        program: its name, which begins what it says.
        parse: returns the arguments, whose ``run`` is called with the ranks and the arguments,
            and returns the exit status, or None for 0. They may have ``starting``, which is
            called with the arguments and returns a context to start MPI in, and a
            ``checks_launch`` that is False for a command that looks at the launch itself.

    Returns:
        The exit status.
    """
    wrong: ConfigError | None = None
    try:
        arguments = parse()  # before MPI, which may not start on a login node, for --help
    except ConfigError as error:
        wrong, arguments = error, argparse.Namespace()
    starting = getattr(arguments, "starting", lambda _: nullcontext())
    with starting(arguments):
        world = World()
    try:
        if getattr(arguments, "checks_launch", True):
            launch.check(world)
        if wrong:
            wrong.agreed = True  # all ranks have the same words
            raise wrong
        status: int | None = arguments.run(world, arguments)
    except UserError as error:
        if not error.agreed:
            where = f"rank {world.rank} of {world.size}: " if world.size > 1 else ""
            _say(f"{program}: {where}{error}")
            world.abort(error.status)
        _print(program, error, world)
        return error.status
    return status or 0


def _print(program: str, error: UserError, world: World) -> None:
    """Print an error that all ranks have."""
    if world.is_root:
        _say(f"{program}: {error}")


def _say(line: str) -> None:
    """Print a line in one piece, so that nothing of mpirun's gets between it and its end."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
