"""A weak or strong study: each number of ranks is started some times, and leaves a file each time.

Weak scaling keeps a rank's batch: one shard a rank. Strong scaling keeps the global batch: the
shards stay, so that all numbers of ranks make the very same training run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from hpcgan.config import Config
from hpcgan.config_file import load, options
from hpcgan.errors import ConfigError
from hpcgan.files import writing
from hpcgan.scaling import launcher
from hpcgan.scaling.quality import Quality, read_file
from hpcgan.scaling.runs import Run, check_config, counted, read_run, read_runs
from hpcgan.training.restarts import environment
from hpcgan.world import World

# Sections of which a study uses nothing.
_UNUSED = ("checkpoint.", "log.", "run.", "watch.")

Kind = Literal["weak", "strong"]


@dataclass(frozen=True)
class Study:
    """What is to be measured.

    Attributes:
        kind: weak or strong.
        config: the YAML file, or the name of a preset.
        overrides: words of the command line that go before it.
        ranks: numbers of ranks.
        out: the directory of the study, whose ``runs`` the files are added to.
        repeats: starts of each number of ranks.
        seconds: of measuring at each start, with the exchange and without it each.
        quality: images of a training run on each number of ranks, whose samples are judged; 0 for
            no such run.
    """

    kind: Kind
    config: str
    overrides: list[str]
    ranks: list[int]
    out: Path
    repeats: int
    seconds: float
    quality: int = 0


def run(world: World, study: Study) -> int:
    """Measure a study; print a line for each start.

    A number of ranks that fails is told, and the others go on.

    Returns:
        0, or 1 if some start has failed.

    Raises:
        ConfigError: the study is not possible, or its directory holds another one.
    """
    if world.size > 1:
        raise ConfigError("hpcgan scale starts the ranks itself; run it without mpirun or srun")
    _check_overrides(study)
    words = _words(study)
    _check_known(study, words)
    wrong: set[int] = set()
    failed = 0
    for start in _starts(study):
        if start.ranks in wrong:
            continue
        status, line = _make(study, words, start)
        if status:
            failed += 1
            line = f"failed with status {status}: {line}"
            wrong |= {start.ranks} if status == ConfigError.status else set()
        print(f"{study.kind}, {counted(start.ranks)}, {start.name}: {line}", flush=True)
    print(f"the table and curves: hpcgan scale report {study.out}")
    return 1 if failed else 0


@dataclass(frozen=True)
class Start:
    """A start of some ranks.

    Attributes:
        ranks: how many.
        name: which of them it is.
        program: measure or learn, in this package.
        amount: what the program takes: seconds, or images.
        path: of the file that comes of it.
    """

    ranks: int
    name: str
    program: str
    amount: float
    path: Path


def _starts(study: Study) -> Iterator[Start]:
    """Yield the starts of a study, in their order."""
    for repeat, ranks in order(study.ranks, study.repeats):
        name = f"{repeat + 1} of {study.repeats}"
        path = study.out / "runs" / _name(study.kind, ranks, repeat)
        yield Start(ranks, name, "measure", study.seconds, path)
    for ranks in study.ranks if study.quality else []:
        path = study.out / "quality" / _name(study.kind, ranks, 0)
        yield Start(ranks, "quality", "learn", study.quality, path)


def order(ranks: Sequence[int], repeats: int) -> Iterator[tuple[int, int]]:
    """Yield (repeat, ranks) of each start: all ranks in turn, every second time backwards."""
    for repeat in range(repeats):
        for number in sorted(ranks, reverse=repeat % 2 == 1):
            yield repeat, number


def _check_overrides(study: Study) -> None:
    """Refuse options of keys that the study sets itself, or has no use for.

    Raises:
        ConfigError: there is one, or the configuration is wrong.
    """
    decay = load(study.config, study.overrides).optimizer.decay
    for key in options(study.overrides):
        if key == "data.shards" and study.kind == "weak":
            reason = "weak scaling has a shard a rank; leave it out, or measure strong scaling"
        elif key == "train.steps" and decay == "none":
            reason = "--seconds, and --quality, say how long a study trains; leave it out"
        elif key.startswith(_UNUSED):
            reason = (
                "a study writes no checkpoints and no journal, and watches nothing; leave it out"
            )
        else:
            continue
        raise ConfigError(f"command line: --{key} has no effect here: {reason}")


def _words(study: Study) -> list[str]:
    """Return the overrides with the number of shards, if all ranks of the study can have some.

    Raises:
        ConfigError: they cannot, or the configuration is wrong.
    """
    config = load(study.config, study.overrides)
    if study.kind == "weak":
        if config.data.shards is not None:
            print(f"{study.config}: data.shards, {config.data.shards}, is not used: one a rank is")
        return study.overrides
    most = max(study.ranks)
    shards = config.data.shards or most
    if most > shards:
        raise ConfigError(
            f"strong scaling divides data.shards, {shards}, over the ranks, so {most} ranks are "
            "too many; use more shards, or fewer ranks"
        )
    return [*study.overrides, "--data.shards", str(shards)]


def _check_known(study: Study, words: list[str]) -> None:
    """Refuse to add to a study of another configuration."""
    if not any((study.out / "runs").glob("*.json")):
        return
    config: Config = load(study.config, words)
    if study.kind == "weak":
        config = replace(config, data=replace(config.data, shards=None))
    for path, known in read_runs(study.out).items():
        if known.kind == study.kind:
            check_config(asdict(config), study.config, known.identity, path)


def _make(study: Study, words: list[str], start: Start) -> tuple[int, str]:
    """Make a start.

    Returns:
        The exit status of the ranks, and what to say of it.
    """
    with writing(start.path):
        start.path.parent.mkdir(parents=True, exist_ok=True)
    program = [sys.executable, "-m", f"hpcgan.scaling.{start.program}", study.config]
    program += [str(start.path), study.kind, str(start.amount), *words]
    outer = environment(os.environ)
    done = subprocess.run(
        launcher.command(start.ranks, max(study.ranks), program, outer),
        env=outer,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        return done.returncode, last_line(done.stdout)
    if not start.path.exists():
        return 1, f"no file came of it: {last_line(done.stdout)}"
    if start.program == "learn":
        return 0, _describe_quality(read_file(start.path))
    return 0, _describe(read_run(start.path))


def _describe(found: Run) -> str:
    """Return in a line what was found."""
    text = (
        f"{1e3 * found.step:.2f} ms a step, {found.limit_efficiency:.1%} of the limit, "
        f"{found.images_per_second:.4g} images/s"
    )
    return text + ("; more ranks than cores" if found.oversubscribed else "")


def _describe_quality(found: Quality) -> str:
    """Return in a line what a training run reached."""
    before, after = found.marks[0], found.marks[-1]
    return (
        f"Fréchet distance {after.frechet:.4g} after {after.images} images and "
        f"{after.seconds:.1f} s, {before.frechet:.4g} before"
    )


def last_line(output: str) -> str:
    """Return the last line of the program's own, or of its launcher's."""
    lines = [line.strip("\0 ") for line in output.splitlines()]
    own = [line for line in lines if line.startswith("hpcgan")]
    return next(iter([*own[-1:], *[line for line in lines if line][-1:]]), "it said nothing")


def _name(kind: str, ranks: int, repeat: int) -> str:
    """Return the name of a file that no other start has, of this job or another."""
    now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
    job = os.environ.get("SLURM_JOB_ID", str(os.getpid()))
    return f"{kind}-{ranks:05d}-{repeat + 1:02d}-{now}-{job}.json"
