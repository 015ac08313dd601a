"""``hpcgan submit``: slurm/train.sbatch with everything filled in, given to sbatch.

What a job needs comes from the command line; what a cluster is like, from the site's file. The
script that is submitted is complete in itself and stays in logs/; beside it is the configuration as
it was at that moment, which the job reads, at each of its starts.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpcgan.command import whole_number
from hpcgan.config import Config
from hpcgan.config_file import load, to_yaml
from hpcgan.errors import CheckpointError, ConfigError, RunError
from hpcgan.files import check_is_file, expanded, writing
from hpcgan.site import SITE, Site, read_site

_SCRIPTS = Path(__file__).parent / "slurm"
_LOGS = Path("logs")
_LEAD = 120  # seconds before the end of its time at which a job is asked to stop
# What sbatch would take from the environment rather than from the script.
_OVERRIDING = ("JOB_NAME", "OUTPUT", "ARRAY_INX", "TIMELIMIT", "SIGNAL")


@dataclass(frozen=True)
class Size:
    """What a job needs.

    Attributes:
        nodes: how many.
        ranks: on each node.
        cores: of each rank.
        gpus: of each node; 0 for none, else one per rank.
        time: limit, as Slurm writes it: 01:00:00.
    """

    nodes: int
    ranks: int
    cores: int
    gpus: int
    time: str


def add(commands: Any, train: argparse.ArgumentParser) -> None:
    """Add ``submit`` to the commands of an ``argparse`` parser; ``train`` has those of a run."""
    parser = commands.add_parser(
        "submit",
        parents=[train],
        help="submit a training run to Slurm",
        usage="hpcgan submit CONFIG.yaml [--section.key VALUE ...] [--run-dir DIR] "
        "[--resume auto|never|PATH] [--allow-change] [--timeline] [--nodes N] "
        "[--ranks-per-node N] [--cores-per-rank N] [--gpus-per-node N] [--time T] [--site FILE] "
        "[--dry-run]",
        allow_abbrev=False,
    )
    parser.add_argument("--nodes", type=whole_number(1), default=1, metavar="N")
    parser.add_argument("--ranks-per-node", type=whole_number(1), default=1, metavar="N")
    parser.add_argument("--cores-per-rank", type=whole_number(1), default=1, metavar="N")
    parser.add_argument("--gpus-per-node", type=whole_number(1), default=0, metavar="N")
    parser.add_argument("--time", default="01:00:00", metavar="T", help="default: 01:00:00")
    parser.add_argument(
        "--site", type=Path, metavar="FILE", help=f"the cluster's settings; default: {SITE}"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the script and do nothing")
    parser.set_defaults(run=_run, needs_ranks=False, takes_keys=True)


def _run(given: argparse.Namespace) -> None:
    """Check all that can be checked here, and submit, or print what would be."""
    config = load(given.config, given.overrides)  # mistakes are found before the job has waited
    site = read_site(given.site)
    size = Size(
        given.nodes, given.ranks_per_node, given.cores_per_rank, given.gpus_per_node, given.time
    )
    _check_size(size, site)
    _check_run(config, size)
    if given.resume not in ("auto", "never"):
        check_is_file(Path(expanded(given.resume)), "checkpoint", CheckpointError)
    if config.data.stage:  # the run's goes before the site's
        site = dataclasses.replace(site, stage=None)
    frozen = _freeze(config, is_dry=given.dry_run)
    arguments = [str(frozen)]
    arguments += ["--run-dir", str(given.run_dir)] if given.run_dir else []
    arguments += ["--resume", given.resume] if given.resume != "auto" else []
    arguments += ["--allow-change"] if given.allow_change else []
    arguments += ["--timeline"] if given.timeline else []
    text = script(site, size, config.name, arguments)
    if given.dry_run:
        print(text, end="")
        return
    run_dir = given.run_dir or Path("runs") / config.name
    print(_submit(text, frozen.with_suffix(".sbatch"), site, stem(config.name), run_dir))


def _check_size(size: Size, site: Site) -> None:
    """Refuse a job that Slurm would refuse, or in which no training is done."""
    if size.gpus and size.gpus != size.ranks:
        raise ConfigError(
            f"--gpus-per-node {size.gpus} and --ranks-per-node {size.ranks} must be equal"
        )
    lead = _LEAD
    for option in site.options:
        if option.startswith("--signal"):
            found = re.search(r"@(\d+)$", option)
            lead = int(found[1]) if found else 60  # Slurm's own default
    if seconds(size.time) <= lead:
        raise ConfigError(
            f"--time {size.time} leaves no time to train: the job is asked to stop {lead} s before "
            "its end, and goes back into the queue; give it more"
        )


def _check_run(config: Config, size: Size) -> None:
    """Refuse what the job would refuse when it has waited for its turn."""
    ranks, shards = size.nodes * size.ranks, config.data.shards
    if shards is not None and shards < ranks:
        raise ConfigError(
            f"data.shards is {shards}, but the job has {ranks} ranks, and a rank without a shard "
            "has nothing to do"
        )
    if config.run.restarts:
        raise ConfigError(
            "run.restarts is for mpirun on one machine; leave it out: the job goes back into the "
            "queue by itself"
        )


def seconds(limit: str) -> float:
    """Return a time limit in seconds; raise a ConfigError if it is not as Slurm writes it."""
    if limit.lower() in ("unlimited", "infinite"):
        return float("inf")
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", limit, re.ASCII)
    if not found:
        raise ConfigError(
            f"--time {limit!r} is no time limit of Slurm's: MINUTES, HOURS:MINUTES:SECONDS or "
            "DAYS-HOURS:MINUTES:SECONDS"
        )
    days, *rest = found.groups()
    numbers = [int(each) for each in rest if each is not None]
    if days is None and len(numbers) < 3:
        numbers = [0, *numbers]  # minutes come first, not hours
    hours, minutes, secs = (*numbers, 0, 0)[:3]
    return float(int(days or 0) * 86400 + hours * 3600 + minutes * 60 + secs)


def stem(name: str) -> str:
    """Return a run's name as the name of its job and files, where not all characters may be."""
    return re.sub(r"[^\w.+-]", "_", name, flags=re.ASCII)


def _freeze(config: Config, is_dry: bool) -> Path:
    """Return the file in logs/ that keeps the configuration for the job; write it if it is not dry.

    A file that holds another configuration may be that of a job which waits: it stays as it is.
    """
    content = f"# Written by hpcgan submit, for its job.\n{to_yaml(config)}".encode()
    name = stem(config.name)
    with writing(_LOGS):
        if not is_dry:
            _LOGS.mkdir(exist_ok=True)
    number = 1
    while True:
        path = _LOGS / (f"{name}.yaml" if number == 1 else f"{name}-{number}.yaml")
        with writing(path):
            if not is_dry and _write_new(path, content):
                return path
            if not path.exists() or path.read_bytes() == content:
                return path
        number += 1


def _write_new(path: Path, content: bytes) -> bool:
    """Write a file if there is none of its name; return whether it was written."""
    try:
        file = path.open("xb")
    except FileExistsError:
        return False
    try:
        with file:
            file.write(content)
    except OSError:
        path.unlink()
        raise
    return True


def script(site: Site, size: Size, name: str, arguments: list[str]) -> str:
    """Return the batch script of a run: options, settings, and slurm's scripts in one piece.

    The job has the ``name`` of the run; the ``arguments`` are those of ``hpcgan train``.
    """
    source = "train-gpu.sbatch" if size.gpus else "train.sbatch"
    options = [f"--job-name={stem(name)}", "--output=logs/%x-%j.out", "--open-mode=append"]
    options += ["--requeue", f"--signal=B:USR1@{_LEAD}"]
    options += [f"--nodes={size.nodes}", f"--ntasks-per-node={size.ranks}"]
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
    # What comes before are its options, for which those above stand.
    _, _, body = _read(source).partition('source "${original%/*}/common.sh"\n')
    lines = ["#!/bin/bash -l", *(f"#SBATCH {each}" for each in [*options, *site.options])]
    lines += ["", "set -euo pipefail", f"set -- {shlex.join(arguments)}"]
    lines += [f"export {key}={value}" for key, value in settings.items()]
    return "\n".join(lines) + "\n\n" + _read("common.sh") + body


def _read(name: str) -> str:
    """Return a script of ``slurm/``."""
    return (_SCRIPTS / name).read_text(encoding="utf-8")


def _submit(text: str, path: Path, site: Site, name: str, run_dir: Path) -> str:
    """Give the script to sbatch; return what to print about the job."""
    with writing(path):
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
    own = [f"SBATCH_{each}" for each in _OVERRIDING]
    own += ["SBATCH_PARTITION"] if site.partition else []
    own += ["SBATCH_ACCOUNT"] if site.account else []
    try:
        done = subprocess.run(
            ["sbatch", "--parsable", str(path)],
            env={key: value for key, value in os.environ.items() if key not in own},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        raise RunError("there is no sbatch here: submit from a login node of the cluster") from None
    except OSError as error:
        raise RunError(f"sbatch does not start: {error}") from None
    lines = done.stdout.splitlines()  # the last is sbatch's own; sites put theirs before it
    job = lines[-1].strip().partition(";")[0] if lines else ""
    if done.returncode or not job.isdecimal():
        said = " ".join(f"{done.stderr} {done.stdout}".split())
        raise RunError(f"sbatch refuses {path}: {said or f'status {done.returncode}'}")
    sys.stderr.write(done.stderr)  # warnings
    board = shlex.quote(str(run_dir / "tensorboard"))
    return (
        f"job {job} is submitted ({path})\n"
        f"  squeue -j {job}                      its place in the queue\n"
        f"  tail -F logs/{name}-{job}.out        its output\n"
        f"  tensorboard --logdir {board}\n"
        f"  scancel --batch --signal=USR1 {job}  a checkpoint now, and back into the queue\n"
        f"  scancel {job}                        the end"
    )
