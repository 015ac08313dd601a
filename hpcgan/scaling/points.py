"""What was measured on some numbers of ranks, as the model wants it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from hpcgan.errors import ConfigError
from hpcgan.scaling.model import Link

# Open MPI over TCP announces a message above this limit and waits for leave before the data.
EAGER = 65536
TRIPS = 3


@dataclass(frozen=True)
class Point:
    """What was measured on one number of ranks.

    Attributes:
        ranks: of the run.
        nodes: on which they were, in equal numbers.
        samples: of a rank's batch.
        gradient_bytes: that the exchanges of a step average.
        step_seconds: mean of the whole step.
        limit_seconds: mean of the same step of as many ranks that never exchange.
        exchanges: of a step.
        compute_seconds: single compute times, of any steps and ranks of the run without exchange;
            at least 2, for their variation; may be missing.
        link_latency: seconds one way between the nodes, if it is known.
        link_bandwidth: bytes a second between the nodes, if it is known.

    Raises:
        ConfigError: a value is out of bounds.
    """

    ranks: int
    nodes: int
    samples: int
    gradient_bytes: float
    step_seconds: float
    limit_seconds: float
    exchanges: int = 1
    compute_seconds: tuple[float, ...] = ()
    link_latency: float | None = None
    link_bandwidth: float | None = None

    def __post_init__(self) -> None:
        whole = all(
            type(value) is int and value >= 1
            for value in (self.ranks, self.nodes, self.samples, self.exchanges)
        )
        numbers = (self.gradient_bytes, self.step_seconds, self.limit_seconds)
        if not whole or not all(_is_positive(each) for each in (*numbers, *self.compute_seconds)):
            raise ConfigError(f"a measured point has a number that cannot be: {self}")
        if self.ranks % self.nodes:
            raise ConfigError(
                f"a measured point has {self.ranks} ranks on {self.nodes} nodes; "
                "measure with the same number on each"
            )
        if len(self.compute_seconds) == 1:
            raise ConfigError("a measured point has 1 compute time; their variation needs 2")
        link = (self.link_latency, self.link_bandwidth)
        if link != (None, None) and not (
            _is_positive(self.link_bandwidth) and (self.link_latency == 0 or _is_positive(link[0]))
        ):
            raise ConfigError(
                f"a measured point has a link of {link[0]} s and {link[1]} bytes/s; "
                "give both or neither"
            )

    @property
    def link(self) -> Link | None:
        """The link between the nodes, if it is known."""
        if self.link_latency is None or self.link_bandwidth is None:
            return None
        return Link(self.link_latency, self.link_bandwidth, trips=TRIPS, eager=EAGER)


def read_points(paths: Sequence[Path]) -> list[Point]:
    """Return the points of JSON files: each holds an object with ``Point``'s attributes, or a list.

    Raises:
        ConfigError: a file is missing or is not such a file.
    """
    points = []
    for path in paths:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            for each in content if isinstance(content, list) else [content]:
                times = tuple(each.pop("compute_seconds", None) or ())
                points.append(Point(**each, compute_seconds=times))
        except (OSError, ValueError, TypeError, AttributeError, ConfigError) as error:
            known = ", ".join(field.name for field in fields(Point))
            raise ConfigError(
                f"{path}: holds no measured points: {error}; a point has {known}"
            ) from None
    return points


def _is_positive(value: object) -> bool:
    return type(value) in (int, float) and 0 < value < math.inf  # type: ignore[operator]
