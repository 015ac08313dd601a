"""``hpcgan submit``: slurm/train.sbatch with everything filled in, given to sbatch.

What a job asks for comes from the command line; what a cluster is like, from one YAML file, so that
no script needs editing. The script that is submitted is complete in itself and stays in logs/.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hpcgan.config_file import load
from hpcgan.errors import ConfigError, RunError
from hpcgan.files import check_is_file, write_whole

_SCRIPTS = Path(__file__).parent / "slurm"
_SITE = Path("~/.config/hpcgan/site.yaml")  # read if there is one and no other is named


@dataclass(frozen=True)
class Site:
    """What a cluster is like: the keys of the site's YAML file, all optional.

    Attributes:
        partition: of the jobs.
        account: that pays for them.
        modules: to load, in this order.
        venv: the virtual environment that has hpcgan; default: that of this command.
        launch: srun or mpirun.
        mpi: srun's --mpi; default: found by trying.
        stage: a directory on each node's own disk to copy the data to first; may name variables
            of the job, such as /local/$SLURM_JOB_ID.
        options: more options of sbatch, such as "--constraint=cpu".
    """

    partition: str | None = None
    account: str | None = None
    modules: list[str] = field(default_factory=list)
    venv: str = sys.prefix
    launch: str = "srun"
    mpi: str | None = None
    stage: str | None = None
    options: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Size:
    """What a job asks for.

    Attributes:
        nodes: how many.
        ranks: on each node.
        cores: of each rank.
        gpus: of each node; 0 for none, else one a rank.
        time: limit, as Slurm writes it: 01:00:00.
    """

    nodes: int
    ranks: int
    cores: int
    gpus: int
    time: str


def add(commands: Any) -> None:
    """Add ``submit`` to the commands of an ``argparse`` parser."""
    parser = commands.add_parser(
        "submit",
        help="submit a training run to Slurm",
        usage="hpcgan submit CONFIG.yaml [--section.key VALUE ...] [--run-dir DIR] [--nodes N] "
        "[--ranks-per-node N] [--cores-per-rank N] [--gpus-per-node N] [--time T] [--site FILE] "
        "[--dry-run]",
        allow_abbrev=False,
    )
    parser.add_argument("config", metavar="CONFIG.yaml", help="the run's configuration")
    parser.add_argument("--run-dir", metavar="DIR", help="default: runs/NAME")
    parser.add_argument("--nodes", type=_number, default=1, metavar="N")
    parser.add_argument("--ranks-per-node", type=_number, default=1, metavar="N")
    parser.add_argument("--cores-per-rank", type=_number, default=1, metavar="N")
    parser.add_argument("--gpus-per-node", type=_number, default=0, metavar="N")
    parser.add_argument("--time", default="01:00:00", metavar="T", help="default: 01:00:00")
    parser.add_argument(
        "--site", type=Path, metavar="FILE", help=f"the cluster's settings; default: {_SITE}"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the script and do nothing")
    parser.set_defaults(
        run=lambda world, given: world.on_root(lambda: _run(given)), takes_keys=True
    )


def _run(given: argparse.Namespace) -> None:
    """Check all that can be checked here, and submit, or print what would be."""
    config = load(given.config, given.overrides)  # mistakes are found before the job has waited
    site = read_site(given.site)
    size = Size(
        given.nodes, given.ranks_per_node, given.cores_per_rank, given.gpus_per_node, given.time
    )
    if size.gpus and size.gpus != size.ranks:
        raise ConfigError(
            f"--gpus-per-node {size.gpus} and --ranks-per-node {size.ranks} must be equal"
        )
    words = [given.config, *given.overrides]
    words += ["--run-dir", given.run_dir] if given.run_dir else []
    text = script(site, size, config.name, words)
    if given.dry_run:
        print(text, end="")
        return
    run_dir = given.run_dir or f"runs/{config.name}"
    print(_submit(text, config.name, run_dir))


def read_site(path: Path | None) -> Site:
    """Return a cluster's settings, the defaults if no file is named and there is none.

    Raises:
        ConfigError: the file cannot be read; a key is unknown, or its value of the wrong kind.
    """
    if path is None:
        path = _SITE.expanduser()
        if not path.exists():
            return Site()
    check_is_file(path, "site file", ConfigError)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from None
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
            raise ConfigError(f"{path}: {key} is a {'list of texts' if is_list else 'text'}")
        if any("\n" in each for each in texts):
            raise ConfigError(f"{path}: {key} has a line end in it")
    site = Site(**content)
    if site.launch not in ("srun", "mpirun"):
        raise ConfigError(f"{path}: launch is srun or mpirun, not {site.launch}")
    if site.stage and not re.fullmatch(r"[\w/.${}-]+", site.stage):
        raise ConfigError(f"{path}: stage is a path, with $NAME for variables, not {site.stage}")
    return site


def script(site: Site, size: Size, name: str, words: list[str]) -> str:
    """Return the batch script of a run: options, settings, and slurm's scripts in one piece.

    Args:
        site: the cluster.
        size: of the job.
        name: of the run, and so of the job.
        words: of ``hpcgan train``.
    """
    source = "train-gpu.sbatch" if size.gpus else "train.sbatch"
    options = [f"--job-name={name}", "--output=logs/%x-%j.out", "--open-mode=append", "--requeue"]
    options += ["--signal=B:USR1@120", f"--nodes={size.nodes}", f"--ntasks-per-node={size.ranks}"]
    options += [f"--cpus-per-task={size.cores}", f"--time={size.time}"]
    options += [f"--gpus-per-node={size.gpus}"] if size.gpus else []
    options += [f"--partition={site.partition}"] if site.partition else []
    options += [f"--account={site.account}"] if site.account else []
    settings = {
        "HPCGAN_MODULES": shlex.quote(" ".join(site.modules)),
        "HPCGAN_VENV": shlex.quote(site.venv),
        "HPCGAN_LAUNCH": site.launch,
        # In double quotes: it may name variables of the job.
        "HPCGAN_STAGE": f'"{site.stage or ""}"',
    }
    if site.mpi:
        settings["SLURM_MPI_TYPE"] = shlex.quote(site.mpi)
    head, _, body = (_SCRIPTS / source).read_text(encoding="utf-8").partition("set -euo pipefail\n")
    del head  # its options, which are those above
    _, _, body = body.partition('source "${original%/*}/common.sh"\n')
    lines = ["#!/bin/bash -l", *(f"#SBATCH {each}" for each in [*options, *site.options])]
    lines += ["", "set -euo pipefail", f"set -- {shlex.join(words)}"]
    lines += [f"export {key}={value}" for key, value in settings.items()]
    return "\n".join(lines) + "\n\n" + (_SCRIPTS / "common.sh").read_text(encoding="utf-8") + body


def _submit(text: str, name: str, run_dir: str) -> str:
    """Give the script to sbatch; return what to tell of the job.

    Raises:
        RunError: there is no Slurm here, or it refuses the job.
    """
    logs = Path("logs")
    logs.mkdir(exist_ok=True)
    path = logs / f"{name}.sbatch"
    write_whole(path, text.encode())
    try:
        done = subprocess.run(
            ["sbatch", "--parsable", str(path)],
            env=os.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError:
        raise RunError("there is no sbatch here: submit from a login node of the cluster") from None
    if done.returncode:
        raise RunError(f"sbatch refuses {path}: {' '.join(done.stderr.split())}")
    job = done.stdout.strip().partition(";")[0]
    return (
        f"job {job} is submitted ({path})\n"
        f"  squeue -j {job}                      its place in the queue\n"
        f"  tail -F logs/{name}-{job}.out        what it says\n"
        f"  tensorboard --logdir {run_dir}/tensorboard\n"
        f"  scancel --batch --signal=USR1 {job}  a checkpoint now, and back into the queue\n"
        f"  scancel {job}                        the end"
    )


def _number(word: str) -> int:
    """Return a whole number from 1."""
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no whole number from 1")
    return int(word)
