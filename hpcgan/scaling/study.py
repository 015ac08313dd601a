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
from hpcgan.config_file import load
from hpcgan.errors import ConfigError
from hpcgan.files import writing
from hpcgan.scaling import launcher
from hpcgan.scaling.runs import Run, check_config, counted, read_run, read_runs
from hpcgan.training.restarts import environment
from hpcgan.world import World

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
    """

    kind: Kind
    config: str
    overrides: list[str]
    ranks: list[int]
    out: Path
    repeats: int
    seconds: float


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
    words = _words(study)
    known = study.out / "runs"
    with writing(known):
        known.mkdir(parents=True, exist_ok=True)
    _check_known(study, words)
    wrong: set[int] = set()
    failed = 0
    for repeat, ranks in order(study.ranks, study.repeats):
        if ranks in wrong:
            continue
        path = known / _name(study.kind, ranks, repeat)
        status, line = _start(study, words, ranks, path)
        if status:
            failed += 1
            line = f"failed with status {status}: {line}"
            wrong |= {ranks} if status == ConfigError.status else set()
        which = f"{study.kind}, {counted(ranks)}, {repeat + 1} of {study.repeats}"
        print(f"{which}: {line}", flush=True)
    print(f"the table and curves: hpcgan scale report {study.out}")
    return 1 if failed else 0


def order(ranks: Sequence[int], repeats: int) -> Iterator[tuple[int, int]]:
    """Yield (repeat, ranks) of each start: all ranks in turn, every second time backwards."""
    for repeat in range(repeats):
        for number in sorted(ranks, reverse=repeat % 2 == 1):
            yield repeat, number


def _words(study: Study) -> list[str]:
    """Return the overrides with the number of shards, if all ranks of the study can have some.

    Raises:
        ConfigError: they cannot, or the configuration is wrong.
    """
    config = load(study.config, study.overrides)
    if study.kind == "weak":
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


def _start(study: Study, words: list[str], ranks: int, path: Path) -> tuple[int, str]:
    """Measure once.

    Returns:
        The exit status of the ranks, and what to say of it.
    """
    program = [sys.executable, "-m", "hpcgan.scaling.measure", study.config, str(path)]
    program += [study.kind, str(study.seconds), *words]
    outer = environment(os.environ)
    done = subprocess.run(
        launcher.command(ranks, max(study.ranks), program, outer),
        env=outer,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        return done.returncode, _last_line(done.stdout)
    if not path.exists():
        return 1, f"no file came of it: {_last_line(done.stdout)}"
    return 0, _describe(read_run(path))


def _describe(found: Run) -> str:
    """Return in a line what was found."""
    text = (
        f"{1e3 * found.step:.2f} ms a step, {found.limit_efficiency:.1%} of the limit, "
        f"{found.images_per_second:.4g} images/s"
    )
    return text + ("; more ranks than cores" if found.oversubscribed else "")


def _last_line(output: str) -> str:
    """Return the last line of the program's own, or of its launcher's."""
    lines = [line.strip("\0 ") for line in output.splitlines()]
    own = [line for line in lines if line.startswith("hpcgan")]
    return next(iter([*own[-1:], *[line for line in lines if line][-1:]]), "it said nothing")


def _name(kind: str, ranks: int, repeat: int) -> str:
    """Return the name of a file that no other start has, of this job or another."""
    now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
    job = os.environ.get("SLURM_JOB_ID", str(os.getpid()))
    return f"{kind}-{ranks:05d}-{repeat + 1:02d}-{now}-{job}.json"
