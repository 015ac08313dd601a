"""What one start of ``hpcgan.scaling.measure`` found, and the files of a study: DIR/runs/*.json."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

from hpcgan.errors import ConfigError


@dataclass(frozen=True)
class Segment:
    """Some steps between two barriers.

    Attributes:
        steps: how many.
        seconds: that each rank took for them.
        waited: seconds of these in which each rank waited for its samples.
    """

    steps: int
    seconds: list[float]
    waited: list[float]

    @property
    def slowest(self) -> float:
        """Seconds a step of the slowest rank."""
        return max(self.seconds) / self.steps

    @property
    def mean(self) -> float:
        """Seconds a step of the mean rank."""
        return mean(self.seconds) / self.steps

    @property
    def input(self) -> float:
        """Seconds a step in which the mean rank waited for its samples."""
        return mean(self.waited) / self.steps


@dataclass(frozen=True)
class Run:
    """One number of ranks, started once.

    Attributes:
        kind: weak or strong.
        started: date and time, ISO 8601, UTC.
        job: number of the Slurm job, if there was one.
        hosts: the node of each rank.
        cores: of each rank.
        oversubscribed: whether ranks of a node had to share cores.
        config: the configuration that was given, as sections and keys.
        images: that all ranks together learn from in a step.
        samples: of the fullest rank's batch.
        gradient_bytes: that a rank gives to all exchanges of a step.
        exchanges: of a step.
        exchange: segments with the exchange.
        limit: segments without it.
        compute_seconds: of each rank, single steps without exchange.
        skipped: measured updates that were left out, since their numbers were not finite.
        versions: of the programs, by name.
    """

    kind: str
    started: str
    job: str | None
    hosts: list[str]
    cores: list[int]
    oversubscribed: bool
    config: dict[str, Any]
    images: int
    samples: int
    gradient_bytes: int
    exchanges: int
    exchange: list[Segment]
    limit: list[Segment]
    compute_seconds: list[list[float]]
    skipped: int
    versions: dict[str, str]

    @property
    def ranks(self) -> int:
        """The number of ranks."""
        return len(self.hosts)

    @property
    def nodes(self) -> int:
        """The number of nodes."""
        return len(set(self.hosts))

    @property
    def is_even(self) -> bool:
        """Whether all nodes have as many ranks, and all ranks as many samples."""
        return len(set(Counter(self.hosts).values())) == 1 and (
            self.samples * self.ranks == self.images
        )

    @property
    def step(self) -> float:
        """Seconds of a step with the exchange."""
        return median(each.slowest for each in self.exchange)

    @property
    def limit_step(self) -> float:
        """Seconds of a step of the slowest rank without the exchange."""
        return median(each.slowest for each in self.limit)

    @property
    def compute(self) -> float:
        """Seconds of a step that the mean rank computes."""
        return median(each.mean - each.input for each in self.limit)

    @property
    def input(self) -> float:
        """Seconds of a step in which the mean rank waits for its samples."""
        return median(each.input for each in self.limit)

    @property
    def waiting(self) -> float:
        """Seconds of a step that the slowest rank takes longer than the mean one."""
        return median(each.slowest - each.mean for each in self.limit)

    @property
    def communication(self) -> float:
        """Seconds of a step that the exchange adds."""
        return max(0.0, self.step - self.limit_step)

    @property
    def images_per_second(self) -> float:
        """Of all ranks together."""
        return self.images / self.step

    @property
    def limit_efficiency(self) -> float:
        """The step without the exchange, in steps with it."""
        return self.limit_step / self.step

    @property
    def slowest_rank(self) -> int:
        """The rank that computes longest."""
        seconds = [sum(each.seconds[rank] for each in self.limit) for rank in range(self.ranks)]
        return max(range(self.ranks), key=seconds.__getitem__)

    @property
    def identity(self) -> dict[str, Any]:
        """The configuration but for what a study varies."""
        return identity(self.kind, self.config)


def identity(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration but for what a study of a kind varies: the shards, in a weak one."""
    data = config.get("data", {})
    shards = None if kind == "weak" else data.get("shards")
    return {**config, "data": {**data, "shards": shards}}


def read_runs(directory: Path) -> dict[Path, Run]:
    """Return the runs of a study, by file, in the order of their names.

    Raises:
        ConfigError: there are none, a file is not of this kind, or two of a kind have different
            configurations.
    """
    runs = {path: read_run(path) for path in sorted((directory / "runs").glob("*.json"))}
    if not runs:
        raise ConfigError(
            f"{directory}: there are no measured runs in {directory / 'runs'}; measure some with "
            f"hpcgan scale weak CONFIG.yaml --ranks 1,2 --out {directory}"
        )
    check_same(runs)
    return runs


def check_same(runs: dict[Path, Run]) -> None:
    """Refuse runs of a kind with different configurations.

    Raises:
        ConfigError: two differ; the message names both files and what differs.
    """
    first: dict[str, tuple[Path, Run]] = {}
    for path, run in runs.items():
        known, other = first.setdefault(run.kind, (path, run))
        check_config(run.identity, path, other.identity, known)


def check_config(
    config: dict[str, Any], origin: Path | str, other: dict[str, Any], known: Path
) -> None:
    """Refuse a configuration that differs from that of a file, ``known``."""
    differing = _differences(other, config)
    if differing:
        raise ConfigError(
            f"{known} and {origin} were measured with different configurations "
            f"({'; '.join(differing)}); a directory holds one study: use another"
        )


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Return "key: old -> new" for each key that differs."""
    found = []
    for key in [*old, *(key for key in new if key not in old)]:
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            found += _differences(before, after, f"{prefix}{key}.")
        elif before != after:
            found.append(f"{prefix}{key}: {before} -> {after}")
    return found


def read_run(path: Path) -> Run:
    """Return the run of a file.

    Raises:
        ConfigError: it cannot be read, or is of another kind.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        for way in ("exchange", "limit"):
            content[way] = [Segment(**each) for each in content[way]]
        run = Run(**content)
        _check(run)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(
            f"{path}: is no measured run: {type(error).__name__}: {error}; take it away"
        ) from None
    return run


def _check(run: Run) -> None:
    """Refuse what no measuring gives.

    Raises:
        ValueError: something of it.
    """
    if run.kind not in ("weak", "strong"):
        raise ValueError(f"kind {run.kind}")
    if not run.hosts or not run.exchange or not run.limit:
        raise ValueError("ranks or segments are missing")
    for each in (*run.exchange, *run.limit):
        if not len(each.seconds) == len(each.waited) == run.ranks or each.steps < 1:
            raise ValueError("a segment has not one time a rank")
        if not all(0 < value < math.inf for value in each.seconds):
            raise ValueError("a segment has a time that cannot be")


def to_json(run: Run) -> str:
    """Return the text of a run's file."""
    return json.dumps(dataclasses.asdict(run), indent=1) + "\n"


def counted(ranks: int) -> str:
    """Return a number of ranks in words."""
    return f"{ranks} rank" + "s" * (ranks > 1)
