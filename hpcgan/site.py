"""What a cluster is like, for ``hpcgan submit``: one YAML file, so that no script needs editing."""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from hpcgan import yaml_file
from hpcgan.errors import ConfigError
from hpcgan.files import expanded

SITE = Path("~/.config/hpcgan/site.yaml")  # read if there is one and no other is named

# What the command line of submit and the other keys set, and an option would silently override.
_OWN_OPTIONS = {
    "--job-name": "-J",
    "--output": "-o",
    "--array": "-a",
    "--nodes": "-N",
    "--ntasks": "-n",
    "--ntasks-per-node": None,
    "--cpus-per-task": "-c",
    "--gpus-per-node": None,
    "--time": "-t",
    "--partition": "-p",
    "--account": "-A",
}


@dataclass(frozen=True)
class Site:
    """What a cluster is like: the keys of the site's YAML file, all optional.

    Attributes:
        partition: of the jobs.
        account: that pays for them.
        modules: to load, in this order.
        venv: the virtual environment that has hpcgan, in the file with ~ and variables; default:
            that of this command.
        launch: srun or mpirun.
        mpi: srun's --mpi; default: found by trying.
        stage: a directory on each node's own disk to copy the data to first; may name variables
            of the job, such as /local/$SLURM_JOB_ID.
        options: more options of sbatch, such as "--constraint=cpu"; none that another key or
            submit itself sets.
    """

    partition: str | None = None
    account: str | None = None
    modules: list[str] = field(default_factory=list)
    venv: str = sys.prefix
    launch: str = "srun"
    mpi: str | None = None
    stage: str | None = None
    options: list[str] = field(default_factory=list)


def read_site(path: Path | None) -> Site:
    """Return a cluster's settings, the defaults if no file is named and there is none.

    Raises:
        ConfigError: the file cannot be read; a key is unknown, or its value of the wrong kind, or
            names a user or variable that there is not.
    """
    if path is None:
        path = Path(os.path.expanduser(SITE))  # noqa: PTH111  # which is no error without a home
        if not path.exists():
            return Site()
    content = yaml_file.read(path, "site file") or {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: site settings are a mapping, such as 'partition: batch'")
    known = [each.name for each in dataclasses.fields(Site)]
    for key, value in content.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1) or [", ".join(known)]
            raise ConfigError(f"{path}: unknown key {key!r}; nearest: {near[0]}")
        is_list = key in ("modules", "options")
        texts = value if is_list and isinstance(value, list) else [value]
        if is_list != isinstance(value, list) or not all(isinstance(each, str) for each in texts):
            raise ConfigError(
                f"{path}: {key} is a {'list of texts' if is_list else 'text'}; put quotes around a "
                "number"
            )
        if any("\n" in each for each in texts):
            raise ConfigError(f"{path}: {key} has a line end in it")
    if "venv" in content:
        try:
            content["venv"] = expanded(content["venv"])
        except ConfigError as error:
            raise ConfigError(f"{path}: venv: {error}") from None
    site = Site(**content)
    _check_options(site.options, path)
    if site.launch not in ("srun", "mpirun"):
        raise ConfigError(f"{path}: launch is srun or mpirun, not {site.launch}")
    if site.stage and not re.fullmatch(r"[\w/.${}-]+", site.stage):
        raise ConfigError(f"{path}: stage is a path, with $NAME for variables, not {site.stage}")
    return site


def _check_options(options: list[str], path: Path) -> None:
    """Refuse options that would override what the user sets."""
    for option in options:
        for name, short in _OWN_OPTIONS.items():
            if re.split("[= ]", option)[0] == name or (short and option.startswith(short)):
                raise ConfigError(
                    f"{path}: options has {option!r}, but {name} comes from another key or from "
                    "the command line of hpcgan submit; leave it out"
                )
