"""What tests of comparisons share: a place for one, and ranks that train nothing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcgan.comparing import comparison, draw, kept
from hpcgan.comparing.kept import Point, Start
from hpcgan.comparing.parts import Parts
from hpcgan.config_file import load
from hpcgan.scaling import launcher


class Ranks:
    """Stands for the ranks that a comparison starts: what they find follows from the seed.

    Attributes:
        programs: what was started: pace or points, and the name of what becomes of it.
        killed_at: numbers of programs that die before they write anything.
        wrong: the status and the last line of each program, if they fail.
    """

    def __init__(self) -> None:
        """Start nothing yet."""
        self.programs: list[tuple[str, str]] = []
        self.killed_at: set[int] = set()
        self.wrong: tuple[int, str] | None = None
        self._clock = itertools.count(1)  # no two times are the same

    def run(self, ranks: int, largest: int, program: Sequence[str]) -> tuple[int, str]:
        """Do what ``launcher.run`` does."""
        path, _, out, what, _ = list(program)[3:]
        self.programs.append((what, Path(path).parent.name))
        if len(self.programs) in self.killed_at:
            raise KeyboardInterrupt
        if self.wrong:
            return self.wrong
        config = load(path)
        second = next(self._clock)
        if what == "pace":
            pace = {"steps": 80, "step_seconds": second, "bytes_per_step": 100.0}
            kept.write(Path(out), pace | {"generator_ranks": 1, "oversubscribed": False})
            return 0, ""
        points = [
            Point(
                config.seed, second * step, 4 * step, math.exp(-step / 40) + config.staleness, step
            )
            for step in range(10, 81, 10)
        ]
        kept.write(Path(out), Start(points, 0.01, "pca7", 30))
        return 0, ""


@pytest.fixture
def ranks(monkeypatch: pytest.MonkeyPatch) -> Ranks:
    """Return what stands for the ranks that a comparison starts."""
    found = Ranks()
    monkeypatch.setattr(launcher, "run", found.run)
    monkeypatch.setattr(comparison, "divided", lambda *given: Parts(["a.h5"], "b.h5", "c.h5"))
    monkeypatch.setattr(draw, "curves", lambda *given: b"a picture")  # which takes a second
    return found


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory with data, a configuration and ways, in which the test runs."""
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (150, 4, 4, 1), np.uint8)
    with h5py.File("data.h5", "w") as file:
        file["images"] = images
    config = "data: {files: [data.h5]}\nmodel: {latent_dim: 4}\ntrain: {batch_size: 4}\n"
    (tmp_path / "config.yaml").write_text(config)
    (tmp_path / "ways.yaml").write_text(
        "stale: {train.staleness: 1}\nsplit: {parallel.mode: split}\n"
    )
    return tmp_path
