"""The three parts of the data: one is trained on, one judges, and by one the report is made.

What judges inside a run, or chooses among the members of a population, is not what is reported:
else the choice itself would look like quality.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from hpcgan.config import Config
from hpcgan.data.source import open_source
from hpcgan.errors import ConfigError, RunError
from hpcgan.scaling.launcher import last_line
from hpcgan.training.lock import RunLock
from hpcgan.world import World

# Without evaluate.held_out, judging and reporting get a part each of so many: of fewer samples
# than 5 times this a fifth each, of more as many as these, about.
_SAMPLES = 2500
_MOST, _FEWEST = 100, 5
_PAUSE = 1.0  # seconds between two looks at whether another has divided the data


@dataclass(frozen=True)
class Parts:
    """Data files: those that are trained on, and those of the two other parts."""

    train: list[str]
    judge: str
    report: str


def divided(world: World, config: Config, place: Path) -> Parts:
    """Return the parts of a configuration's data, which are written to ``place`` at first.

    With ``evaluate.held_out`` its samples, in random order, are halved for judging and reporting,
    and ``data.files`` are trained on as they are. Without it those are divided, in random order,
    by ``hpcgan-data reshard``.

    Raises:
        UserError: the data are missing or damaged, or cannot be written.
    """
    held_out = config.evaluate.held_out
    if held_out:
        judge, report = _resharded(held_out, place / "held-out.h5", 2, config)
        return Parts(config.data.files, judge, report)
    total = len(open_source(world, config.data))
    number = min(_MOST, max(_FEWEST, total // _SAMPLES))
    *train, judge, report = _resharded(config.data.files, place / "part.h5", number, config)
    return Parts(train, judge, report)


def _resharded(files: list[str], out: Path, number: int, config: Config) -> list[str]:
    """Return the files of equal parts of some data, in random order; write what is not there."""
    names = [out.with_name(f"{out.stem}-{part:04d}.h5") for part in range(number)]
    lock = RunLock(out.parent)
    while not lock.try_take():  # another job of an array may be writing them
        time.sleep(_PAUSE)
    try:
        if not all(name.exists() for name in names):
            _reshard(files, out, number, config)
    finally:
        lock.release()
    return [str(name.absolute()) for name in names]


def _reshard(files: list[str], out: Path, number: int, config: Config) -> None:
    """Write the files of equal parts of some data."""
    words = [*files, "--out", str(out), "--parts", str(number), "--shuffle"]
    words += ["--images", config.data.images]
    words += ["--labels", config.data.labels] if config.data.labels else []
    done = subprocess.run(
        [sys.executable, "-m", "data_tools", "reshard", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        kind = ConfigError if done.returncode == ConfigError.status else RunError
        raise kind(f"the data cannot be divided: {last_line(done.stderr)}")
