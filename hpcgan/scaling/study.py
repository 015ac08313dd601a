"""A weak or strong study: each number of ranks is started some times, and leaves a file each time.

Weak scaling keeps a rank's batch: one shard per rank. Strong scaling keeps the global batch: the
shards stay, so that all numbers of ranks make the very same training run.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from hpcgan.config_file import load, options
from hpcgan.errors import ConfigError
from hpcgan.files import writing
from hpcgan.scaling import launcher
from hpcgan.scaling.runs import Quality, Run, Start, check_same, counted, read_runs, read_start
from hpcgan.world import World

# Sections of which a study uses nothing.
_UNUSED = ("checkpoint.", "log.", "run.", "watch.")


def run(world: World, given: Namespace) -> int:
    """Measure a study; print a line for each start; where one fails, go on with the others.

    ``given`` is the command line of ``hpcgan scale weak|strong``. Returns 1 if some start has
    failed, else 0.

    Raises:
        ConfigError: the study is not possible, or its directory holds another one.
    """
    if world.size > 1:
        raise ConfigError("hpcgan scale starts the ranks itself; run it without mpirun or srun")
    words = _words(given)
    if any((given.out / "runs").glob("*.json")):
        own = Start(given.kind, "", [], asdict(load(given.config, words)))
        check_same({**read_runs(given.out), given.config: own})
    wrong: set[int] = set()
    failed = 0
    for ranks, name, program, path in _starts(given):
        if ranks in wrong:
            continue
        status, line = _start(given, words, ranks, program, path)
        if status:
            failed += 1
            line = f"failed with status {status}: {line}"
            wrong |= {ranks} if status == ConfigError.status else set()
        print(f"{given.kind}, {counted(ranks)}, {name}: {line}", flush=True)
    print(f"the table and curves: hpcgan scale report {given.out}")
    return 1 if failed else 0


def order(ranks: Sequence[int], repeats: int) -> Iterator[tuple[int, int]]:
    """Yield (repeat, ranks) of each start: all ranks in turn, every second time backwards."""
    for repeat in range(repeats):
        for number in sorted(ranks, reverse=repeat % 2 == 1):
            yield repeat, number


def _words(given: Namespace) -> list[str]:
    """Return the options for the configuration, with the number of shards of a strong study.

    Raises:
        ConfigError: an option has no effect here, there are more ranks than shards, or the
            configuration is wrong.
    """
    config = load(given.config, given.overrides)
    for key in options(given.overrides):
        reason = None
        if key == "data.shards" and given.kind == "weak":
            reason = "weak scaling has one shard per rank; leave it out, or measure strong scaling"
        elif key == "train.steps" and config.optimizer.decay == "none":
            reason = "--seconds, and --quality, say how long a study trains; leave it out"
        elif key.startswith(_UNUSED):
            reason = "a study writes no checkpoints, no journal and watches nothing; leave it out"
        if reason:
            raise ConfigError(f"command line: --{key} has no effect here: {reason}")
    if given.kind == "weak":
        if config.data.shards is not None:
            print(f"{given.config}: data.shards has no effect: weak scaling has one shard per rank")
        return given.overrides
    most = max(given.ranks)
    shards = config.data.shards or most
    if most > shards:
        raise ConfigError(
            f"strong scaling divides data.shards, {shards}, over the ranks, so {most} ranks are "
            "too many; use more shards, or fewer ranks"
        )
    return [*given.overrides, "--data.shards", str(shards)]


def _starts(given: Namespace) -> Iterator[tuple[int, str, str, Path]]:
    """Yield ranks, name, program (a module of this package) and file of each start, in order."""
    for repeat, ranks in order(given.ranks, given.repeats):
        path = given.out / "runs" / _file_name(given.kind, ranks, repeat)
        yield ranks, f"{repeat + 1} of {given.repeats}", "measure", path
    for ranks in given.ranks if given.quality else []:
        path = given.out / "quality" / _file_name(given.kind, ranks, 0)
        yield ranks, "quality", "quality_run", path


def _file_name(kind: str, ranks: int, repeat: int) -> str:
    """Return the name of a file that no other start has, of this job or another."""
    now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
    job = os.environ.get("SLURM_JOB_ID", str(os.getpid()))
    return f"{kind}-{ranks:05d}-{repeat + 1:02d}-{now}-{job}.json"


def _start(
    given: Namespace, words: list[str], ranks: int, program: str, path: Path
) -> tuple[int, str]:
    """Start some ranks and wait for them.

    Returns:
        Their exit status, and a line about what they found or what is wrong.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    amount = given.seconds if program == "measure" else given.quality
    line = [sys.executable, "-m", f"hpcgan.scaling.{program}", given.config]
    line += [str(path), given.kind, str(amount), *words]
    status, output = launcher.run(ranks, max(given.ranks), line)
    if status:
        return status, launcher.last_line(output)
    if not path.exists():
        return 1, f"it wrote no file: {launcher.last_line(output)}"
    return 0, _describe(path, program)


def _describe(path: Path, program: str) -> str:
    """Return a line about what a start found."""
    if program == "quality_run":
        points = read_start(path, Quality).points
        last = points[-1]
        return (
            f"Fréchet distance {last.frechet:.4g} after {last.images} images and "
            f"{last.seconds:.1f} s, {points[0].frechet:.4g} before"
        )
    found = read_start(path, Run)
    shared = "; more ranks than cores" if found.oversubscribed else ""
    return (
        f"{1e3 * found.step:.2f} ms per step, {found.baseline_step / found.step:.1%} of the "
        f"no-communication baseline, {found.images / found.step:.4g} images/s{shared}"
    )
