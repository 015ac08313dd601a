"""How good samples became in training runs of a study, and its files: DIR/quality/*.json.

A point is the Fréchet distance between samples that the generator draws and samples of the data, in
the space of the data's principal components (``hpcgan.metrics.frechet``), after so many images and
so many seconds of training. It compares runs on the same data; distances for other data, or in
other spaces, are other figures.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from hpcgan.errors import ConfigError
from hpcgan.scaling.runs import Run, check_config, identity


@dataclass(frozen=True)
class Mark:
    """What a training run had reached.

    Attributes:
        images: that all ranks together had learnt from.
        seconds: of training, without its start, compilation and the judging of samples.
        frechet: distance of generated samples from the data.
    """

    images: int
    seconds: float
    frechet: float


@dataclass(frozen=True)
class Quality:
    """A training run on one number of ranks.

    Attributes:
        kind: weak or strong.
        started: date and time, ISO 8601, UTC.
        hosts: the node of each rank.
        config: the configuration that was given, as sections and keys.
        marks: by images, from before training on.
    """

    kind: str
    started: str
    hosts: list[str]
    config: dict[str, Any]
    marks: list[Mark]

    @property
    def ranks(self) -> int:
        """The number of ranks."""
        return len(self.hosts)

    def at_images(self, images: float) -> float:
        """Return the Fréchet distance after so many images, between the marks next to them."""
        return self._between([mark.images for mark in self.marks], images)

    def at_seconds(self, seconds: float) -> float:
        """Return the Fréchet distance after so many seconds, between the marks next to them."""
        return self._between([mark.seconds for mark in self.marks], seconds)

    def _between(self, places: Sequence[float], place: float) -> float:
        return float(np.interp(place, places, [mark.frechet for mark in self.marks]))


@dataclass(frozen=True)
class Compared:
    """All training runs of one kind, at what all of them have reached.

    Attributes:
        images: the fewest that one of them learnt from.
        seconds: the fewest that one of them trained.
        curves: of each number of ranks, its runs.
    """

    images: int
    seconds: float
    curves: dict[int, list[Quality]]

    def at_equal_images(self, ranks: int) -> float | None:
        """Return the distance after ``images``, median of the runs; None without any."""
        found = [each.at_images(self.images) for each in self.curves.get(ranks, [])]
        return median(found) if found else None

    def at_equal_time(self, ranks: int) -> float | None:
        """Return the distance after ``seconds``, median of the runs; None without any."""
        found = [each.at_seconds(self.seconds) for each in self.curves.get(ranks, [])]
        return median(found) if found else None


def compare(found: Sequence[Quality]) -> dict[str, Compared]:
    """Return the runs of each kind together."""
    compared = {}
    for kind in sorted({each.kind for each in found}):
        own = [each for each in found if each.kind == kind]
        curves = {
            ranks: [each for each in own if each.ranks == ranks]
            for ranks in sorted({each.ranks for each in own})
        }
        last = [each.marks[-1] for each in own]
        images = min(mark.images for mark in last)
        compared[kind] = Compared(images, min(mark.seconds for mark in last), curves)
    return compared


def read_quality(directory: Path, runs: dict[Path, Run]) -> list[Quality]:
    """Return the training runs of a study; an empty list if it has none.

    Args:
        directory: of the study.
        runs: its timed ones, whose configurations these must have.

    Raises:
        ConfigError: a file is not of this kind, or of another configuration.
    """
    found = []
    known = {run.kind: (path, run.identity) for path, run in runs.items()}
    for path in sorted((directory / "quality").glob("*.json")):
        quality = read_file(path)
        own = identity(quality.kind, quality.config)
        origin, other = known.setdefault(quality.kind, (path, own))
        check_config(own, path, other, origin)
        found.append(quality)
    return found


def read_file(path: Path) -> Quality:
    """Return the training run of a file.

    Raises:
        ConfigError: it cannot be read, or is of another kind.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["marks"] = [Mark(**each) for each in content["marks"]]
        quality = Quality(**content)
        numbers = [value for mark in quality.marks for value in dataclasses.astuple(mark)]
        if quality.kind not in ("weak", "strong") or not quality.hosts or not quality.marks:
            raise ValueError("kind, ranks or marks are missing")
        if not all(0 <= value < math.inf for value in numbers):
            raise ValueError("a mark has a number that cannot be")
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(
            f"{path}: is no training run of a study: {type(error).__name__}: {error}; take it away"
        ) from None
    return quality


def to_json(quality: Quality) -> str:
    """Return the text of a training run's file."""
    return json.dumps(dataclasses.asdict(quality), indent=1) + "\n"
