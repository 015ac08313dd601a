"""What a comparison keeps in its directory, from which everything else is made again.

    ways/NAME.json          the pace of a way: how many steps it makes for the cost
    starts/NAME-SEED.json   the points of a way and a seed
    sources.json            fingerprints of the data
    data/                   their parts
    work/NAME-SEED/         a start that is being made

Each file is written beside and renamed: it is there when it is whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hpcgan.config import Config
from hpcgan.config_file import differences, from_yaml
from hpcgan.errors import ConfigError
from hpcgan.files import write_whole, writing
from hpcgan.scaling.runs import read_json


@dataclass(frozen=True)
class Pace:
    """How fast a way is, measured once before its starts: all of them make the same steps.

    Attributes:
        config: of the way, as it was given, as YAML.
        ranks: their number.
        rank_seconds: what a start may cost.
        steps: that it makes for that.
        step_seconds: of a step, with the rounds of a population.
        bytes_per_step: that a rank sends on average, without what a tournament hands over.
        generator_ranks: that train G alone, in split.
        oversubscribed: whether there were more ranks than cores.
    """

    config: str
    ranks: int
    rank_seconds: float
    steps: int
    step_seconds: float
    bytes_per_step: float
    generator_ranks: int | None
    oversubscribed: bool


@dataclass(frozen=True)
class Point:
    """What a start had reached.

    Attributes:
        seed: of the start.
        rank_seconds: ranks x seconds of training until then.
        images: of the data, that all ranks together had learnt from.
        frechet: distance to the report's part of the data, of a population that of its best member;
            None if samples are not finite.
        step: steps that were made.
        judged: the same distance to the judging part.
        member: of a population, the one that is best by ``judged``.
    """

    seed: int
    rank_seconds: float
    images: int
    frechet: float | None
    step: int
    judged: float | None = None
    member: int | None = None


@dataclass(frozen=True)
class Start:
    """A way and a seed, trained once.

    Attributes:
        points: in the order of their steps.
        floor: Fréchet distance of the judging part of the data to the report's.
        features: the name of the features.
        samples: real ones that are compared, and as many generated.
        taken_bytes: that tournaments handed over.
        ended: why it ended before its last step; None if it did not.
    """

    points: list[Point]
    floor: float
    features: str
    samples: int
    taken_bytes: int = 0
    ended: str | None = None


@dataclass(frozen=True)
class Place:
    """The directory of a comparison."""

    out: Path

    @property
    def sources(self) -> Path:
        """The file of the data's fingerprints."""
        return self.out / "sources.json"

    def pace(self, way: str) -> Path:
        """Return the file of a way's pace."""
        return self.out / "ways" / f"{way}.json"

    def start(self, way: str, seed: int) -> Path:
        """Return the file of a start."""
        return self.out / "starts" / f"{way}-{seed}.json"

    def work(self, path: Path) -> Path:
        """Return where what becomes the file ``path`` is made."""
        return self.out / "work" / path.parent.name / path.stem


def read_pace(path: Path, config: Config, ranks: int, rank_seconds: float) -> Pace | None:
    """Return the pace that is kept in a file; None if there is none yet.

    Raises:
        ConfigError: it is of another comparison, or cannot be read.
    """
    if not path.exists():
        return None
    pace = read_json(path, "pace of a way", lambda found: Pace(**found), "move it away")
    before = from_yaml(pace.config, str(path))
    changed = list(differences(before, config).values())
    for name, old, new in (
        ("--ranks", pace.ranks, ranks),
        ("--rank-seconds", pace.rank_seconds, rank_seconds),
    ):
        changed += [f"{name}: {old:g} -> {new:g}"] if old != new else []
    if changed:
        raise ConfigError(
            f"{path}: was measured for another comparison ({'; '.join(changed)}); a directory "
            "holds one: use another --out"
        )
    return pace


def read_start(path: Path) -> Start:
    """Return a start; errors as of ``read_json``."""

    def build(found: dict[str, Any]) -> Start:
        return Start(**{**found, "points": [Point(**each) for each in found["points"]]})

    return read_json(path, "start of a comparison", build, "move it away")


def write(path: Path, content: Pace | Start | Mapping[str, Any]) -> None:
    """Write what is kept, as JSON; errors as of ``write_whole``."""
    found = content if isinstance(content, Mapping) else asdict(content)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, f"{json.dumps(found, indent=1)}\n".encode())
