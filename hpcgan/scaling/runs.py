"""What the starts of a study leave, a JSON file each: timed steps in DIR/runs, and in DIR/quality
training runs whose samples were evaluated (``hpcgan.scaling.quality_run``)."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np

from hpcgan.errors import ConfigError
from hpcgan.scaling.model import Traffic

# Keys that the starts of a study differ in, by its kind.
_VARIED = {
    "weak": ("data.shards",),
    "strong": (),
    "quality": ("data.shards", "optimizer.scaling", "seed"),
}

T = TypeVar("T")
AnyStart = TypeVar("AnyStart", bound="Start")


@dataclass(frozen=True)
class Start:
    """One number of ranks, started once."""

    lists: ClassVar[Mapping[str, type]] = {}  # attributes that are lists of dataclasses

    kind: str  # weak, strong or quality
    started: str  # date and time, ISO 8601, UTC
    hosts: list[str]  # the node of each rank
    config: dict[str, Any]  # that was given, as sections and keys

    @property
    def ranks(self) -> int:
        """The number of ranks."""
        return len(self.hosts)

    def is_valid(self) -> bool:
        """Return whether a study can have written it."""
        return self.kind in _VARIED and bool(self.hosts)


@dataclass(frozen=True)
class Segment:
    """Some steps between two barriers."""

    steps: int
    seconds: list[float]  # that each rank took for them
    waited: list[float]  # seconds of these in which each rank waited for its samples


@dataclass(frozen=True)
class Run(Start):
    """A start whose steps were timed."""

    lists: ClassVar[Mapping[str, type]] = {"exchange": Segment, "baseline": Segment}

    job: str | None  # number of the Slurm job, if there was one
    cores: list[int]  # of each rank
    oversubscribed: bool  # whether ranks of a node had to share cores
    images: int  # that all ranks together learn from in a step
    samples: int  # of the fullest rank's batch
    generator_ranks: int  # that train G alone, in split; else 0
    traffic: dict[str, Any]  # of a step, as in ``model.Traffic``
    exchange: list[Segment]  # with the exchange
    baseline: list[Segment]  # of the no-communication baseline
    compute_seconds: list[list[float]]  # of each rank, single steps of the baseline
    skipped: int  # measured updates that were left out, since their numbers were not finite
    versions: dict[str, str]  # of the programs, by name
    noise_scale_d: float | None = None  # of gradients, in images, over the steps with the exchange
    noise_scale_g: float | None = None

    @property
    def nodes(self) -> int:
        """The number of nodes."""
        return len(set(self.hosts))

    @property
    def is_even(self) -> bool:
        """Whether all nodes have as many ranks, and all ranks as many samples."""
        same_nodes = len(set(Counter(self.hosts).values())) == 1
        divided = round(self.ranks * self.traffic["batch_share"]) * self.samples
        return same_nodes and divided == self.images

    @property
    def groups(self) -> list[list[int]]:
        """The ranks that do the same work: all, or in split those of each network."""
        first, ranks = self.generator_ranks, list(range(self.ranks))
        return [ranks[:first], ranks[first:]] if first else [ranks]

    @property
    def fullest(self) -> list[int]:
        """The group that computes longest."""
        seconds = np.sum([each.seconds for each in self.baseline], axis=0)
        return max(self.groups, key=lambda group: float(seconds[group].mean()))

    @property
    def step(self) -> float:
        """Seconds of a step with the exchange: of the slowest rank, median of the segments."""
        return float(np.median(_per_step(self.exchange, "seconds").max(axis=1)))

    @property
    def baseline_step(self) -> float:
        """Seconds of such a step without the exchange."""
        return float(np.median(_per_step(self.baseline, "seconds").max(axis=1)))

    @property
    def parts(self) -> dict[str, float]:
        """Seconds of each part of a step.

        Without the exchange: ``compute`` of the mean rank of the fullest group, its wait for
        samples (``input``), and what the slowest rank takes longer than it (``waiting``); and what
        ``exchange`` adds.
        """
        seconds, own = _per_step(self.baseline, "seconds"), self.fullest
        waits = _per_step(self.baseline, "waited")
        mean, waited = seconds[:, own].mean(axis=1), waits[:, own].mean(axis=1)
        return {
            "compute": float(np.median(mean - waited)),
            "input": float(np.median(waited)),
            "waiting": float(np.median(seconds.max(axis=1) - mean)),
            "exchange": max(0.0, self.step - self.baseline_step),
        }

    @property
    def slowest_rank(self) -> int:
        """The rank that computes longest."""
        return int(np.sum([each.seconds for each in self.baseline], axis=0).argmax())

    def is_valid(self) -> bool:
        """Return whether a study can have written it."""
        ways = (self.exchange, self.baseline)
        widths = {_per_step(way, name).shape[1] for way in ways for name in ("seconds", "waited")}
        if self.traffic.keys() != Traffic().traffic.keys():
            return False
        are_times = all(0 < step < math.inf for step in (self.step, self.baseline_step))
        return super().is_valid() and widths == {self.ranks} and are_times


@dataclass(frozen=True)
class QualityPoint:
    """What a training run had reached."""

    images: int  # that all ranks together had learnt from
    seconds: float  # of training, without its start, compilation and the evaluation of samples
    frechet: float  # distance of generated samples from the data


@dataclass(frozen=True)
class Quality(Start):
    """A training run on one number of ranks, with its quality points, the first before training."""

    lists: ClassVar[Mapping[str, type]] = {"points": QualityPoint}

    points: list[QualityPoint]

    def at(self, axis: str, place: float) -> float:
        """Return the Fréchet distance at some ``images`` or ``seconds``, linear between points."""
        places = [getattr(point, axis) for point in self.points]
        return float(np.interp(place, places, [point.frechet for point in self.points]))

    def is_valid(self) -> bool:
        """Return whether a study can have written it."""
        numbers = [value for point in self.points for value in dataclasses.astuple(point)]
        are_valid = all(0 <= value < math.inf for value in numbers)
        return super().is_valid() and bool(numbers) and are_valid


def _per_step(segments: Sequence[Segment], name: str) -> np.ndarray:
    """Return the ``seconds`` or ``waited`` of segments per step, (segments, ranks)."""
    return np.array([np.divide(getattr(each, name), each.steps) for each in segments])


def read_runs(directory: Path) -> dict[Path, Run]:
    """Return the timed runs of a study, by file, in the order of their names.

    Raises:
        ConfigError: there are none, a file is not of this kind, or two of a kind have different
            configurations.
    """
    runs = {path: read_start(path, Run) for path in sorted((directory / "runs").glob("*.json"))}
    if not runs:
        raise ConfigError(
            f"{directory}: there are no measured runs in {directory / 'runs'}; measure some with "
            f"hpcgan scale weak CONFIG.yaml --ranks 1,2 --out {directory}"
        )
    check_same(runs)
    return runs


def read_quality(directory: Path, timed: dict[Path, Run]) -> list[Quality]:
    """Return the training runs of a study, with the configurations of its timed ones; perhaps none.

    Raises:
        ConfigError: a file is not of this kind, or of another configuration.
    """
    paths = sorted((directory / "quality").glob("*.json"))
    found = {path: read_start(path, Quality) for path in paths}
    check_same({**timed, **found})
    return list(found.values())


def read_start(path: Path, kind: type[AnyStart]) -> AnyStart:
    """Return the start of a file, a ``Run`` or ``Quality``; errors as of ``read_json``."""

    def build(content: dict[str, Any]) -> AnyStart:
        for name, item in kind.lists.items():
            content[name] = [item(**each) for each in content[name]]
        start = kind(**content)
        if not start.is_valid():
            raise ValueError("it has values that cannot be")
        return start

    return read_json(path, "file of a study", build, "move it away")


def read_json(path: Path, what: str, build: Callable[[Any], T], remedy: str) -> T:
    """Return what ``build`` makes of a JSON file, which should be a ``what``.

    Raises:
        ConfigError: it cannot be read, or is none; the message ends with the remedy.
    """
    try:
        return build(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{path}: is no {what}: {reason}; {remedy}") from None


def to_json(start: Start) -> str:
    """Return the text of a start's file."""
    return json.dumps(dataclasses.asdict(start), indent=1) + "\n"


def settings(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration by dotted keys, without what a kind of study varies."""
    flat: dict[str, Any] = {}
    for name, section in config.items():
        keys = section if isinstance(section, dict) else {}
        flat |= {f"{name}.{key}": value for key, value in keys.items()} or {name: section}
    return {key: value for key, value in flat.items() if key not in _VARIED[kind]}


def check_same(starts: Mapping[Any, Start]) -> None:
    """Refuse starts of a kind with different configurations; the keys are where they come from.

    Raises:
        ConfigError: two differ; the message names both origins and what differs.
    """
    first: dict[str, Any] = {}
    for origin, start in starts.items():
        known = first.setdefault(start.kind, origin)
        old, new = (settings(each.kind, each.config) for each in (starts[known], start))
        keys = [key for key in old | new if old.get(key) != new.get(key)]
        if keys:
            differing = "; ".join(f"{key}: {old.get(key)} -> {new.get(key)}" for key in keys)
            raise ConfigError(
                f"{known} and {origin} were measured with different configurations ({differing}); "
                "a directory holds one study: use another"
            )


def counted(ranks: int) -> str:
    """Return a number of ranks in words."""
    return f"{ranks} rank" + "s" * (ranks > 1)
