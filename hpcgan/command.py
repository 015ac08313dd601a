"""What the commands of hpcgan and hpcgan-data share: from the command line to an exit status.

0 done; 1 failed; 2 the command line, config or data are wrong. A user error is printed once, by
rank 0 if all ranks have it; if one rank alone has it, that rank prints it and ends the others.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from hpcgan import launch
from hpcgan.errors import ConfigError, UserError
from hpcgan.files import expanded
from hpcgan.output import take_over
from hpcgan.world import World


class Parser(argparse.ArgumentParser):
    """A parser that raises: under mpirun argparse itself would print its error on each rank.

    ``~`` and variables are expanded in options that are a Path, also where no shell does it, as in
    ``--out=~/x``.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Make it as ``argparse.ArgumentParser`` does."""
        super().__init__(*arguments, **options)
        self.register("type", Path, _path)

    def error(self, message: str) -> NoReturn:
        """Raise ``message`` as a ``ConfigError``."""
        raise _Misuse(f"{message}; see {self.prog} --help", self.get_default("needs_ranks"))


class _Misuse(ConfigError):
    """A command line that a parser refuses.

    Attributes:
        needs_ranks: False if it is for a command of one process.
    """

    def __init__(self, message: str, needs_ranks: bool | None) -> None:
        super().__init__(message)
        self.needs_ranks = needs_ranks is not False


def whole_number(least: int, most: int = 2**63 - 1) -> Callable[[str], int]:
    """Return the type of an option: a whole number within bounds."""

    def read(word: str) -> int:
        if not re.fullmatch("-?[0-9]+", word) or not least <= int(word) <= most:
            bounds = f"from {least}" + (f" to {most}" if most != 2**63 - 1 else "")
            raise argparse.ArgumentTypeError(f"{word!r} is no whole number {bounds}")
        return int(word)

    return read


def _path(word: str) -> Path:
    """Return an option's path, expanded."""
    try:
        return Path(expanded(word))
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(program: str, parse: Callable[[], argparse.Namespace]) -> int:
    """Run one command, on all ranks if it needs them.

    Args:
        program: its name, which begins its messages.
        parse: returns the arguments, whose ``run`` is called with the ranks and the arguments,
            and returns the exit status, or None for 0. They may have a ``checks_launch`` that is
            False for a command that looks at the launch itself. A ``needs_ranks`` that is False is
            for a command of one process, which runs without MPI: its ``run`` is called with the
            arguments alone.

    Returns:
        The exit status: 1 also if stdout could not be written, unless the arguments have
        ``prints_little``, for a command that has done its work all the same.
    """
    output = take_over()
    arguments, status = _run(program, parse)
    sys.stdout.flush()
    if output.error is None:
        return status
    _say(f"{program}: standard output cannot be written: {os.strerror(output.error.errno or 0)}")
    return status or (0 if getattr(arguments, "prints_little", False) else 1)


def _run(program: str, parse: Callable[[], argparse.Namespace]) -> tuple[argparse.Namespace, int]:
    """Run one command on all ranks; return its arguments and its exit status."""
    try:
        arguments = parse()  # before MPI, which may not start on a login node, for --help
    except ConfigError as error:
        is_of_many = getattr(error, "needs_ranks", True) and launch.started(os.environ) is not None
        error.on_all_ranks = True  # all ranks have the same words
        arguments = argparse.Namespace(needs_ranks=is_of_many, run=partial(_refuse, error))
    if not getattr(arguments, "needs_ranks", True):
        return arguments, _run_alone(program, arguments)
    world = World()
    try:
        if getattr(arguments, "checks_launch", True):
            launch.check(world)
        return arguments, arguments.run(world, arguments) or 0
    except UserError as error:
        if not error.on_all_ranks:
            where = f"rank {world.rank} of {world.size}: " if world.size > 1 else ""
            world.abort(error.status, f"{program}: {where}{error}\n")
        if world.is_root:
            _say(f"{program}: {error}")
        return arguments, error.status


def _refuse(error: ConfigError, *_: Any) -> NoReturn:
    """Be the command that a wrong command line names."""
    raise error


def _run_alone(program: str, arguments: argparse.Namespace) -> int:
    """Run a command of one process; return its exit status.

    A launcher may have started it several times: then the first of the copies alone does it. So
    it does in the shell of ``srun --pty``, which is the first of the step's tasks.
    """
    if launch.number(os.environ):
        return 0
    try:
        status: int | None = arguments.run(arguments)
    except UserError as error:
        _say(f"{program}: {error}")
        return error.status
    return status or 0


def _say(line: str) -> None:
    """Print a line in one piece, so that nothing of mpirun's gets between it and its end."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
