"""``population.json``: how far a population has come, and what its members are.

A round of a population ends with a tournament. It is over when this file says so: it is written
after all members' checkpoints of after the tournament, beside its name, flushed and renamed. What
members have written of a later round is not used again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from hpcgan.config import Config
from hpcgan.config_file import from_yaml, to_yaml
from hpcgan.errors import CheckpointError
from hpcgan.files import write_whole

_FORMAT = "hpcgan-population-1"


@dataclass(frozen=True)
class Commit:
    """How far a population has come.

    Attributes:
        config: of the population.
        round: tournaments held.
        step: after which the last one was held; 0 before the first.
        diverged: members whose numbers are no longer finite, and which have taken nothing since.
    """

    config: Config
    round: int = 0
    step: int = 0
    diverged: tuple[int, ...] = ()


def path_of(run_dir: Path) -> Path:
    """Return where a population's commit is."""
    return run_dir / "population.json"


def member_directory(run_dir: Path, member: int) -> Path:
    """Return the run directory of a member."""
    return run_dir / f"member_{member}"


def write(run_dir: Path, commit: Commit) -> None:
    """Write it, whole or not at all; rank 0 alone.

    Raises:
        RunError: it cannot be written.
    """
    fields = {
        "format": _FORMAT,
        "members": commit.config.parallel.population,
        "round": commit.round,
        "step": commit.step,
        "diverged": list(commit.diverged),
        "config": to_yaml(commit.config),
    }
    write_whole(path_of(run_dir), (json.dumps(fields, indent=1) + "\n").encode())


def read(run_dir: Path) -> Commit | None:
    """Return the commit of a population; None if there is none.

    Raises:
        CheckpointError: the file is damaged, or cannot be read.
        ConfigError: its configuration is wrong.
    """
    path = path_of(run_dir)
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        if fields["format"] != _FORMAT:
            raise CheckpointError(f"{path}: its format is {fields['format']!r}, not {_FORMAT}")
        numbers = (int(fields["round"]), int(fields["step"]))
        diverged = tuple(map(int, fields["diverged"]))
        return Commit(from_yaml(fields["config"], str(path)), *numbers, diverged)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path}: damaged or no population's commit: {error}") from None
