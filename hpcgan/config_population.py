"""The sections of the configuration for several GANs at once: populations and their tournaments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from hpcgan.config_keys import Bounds


@dataclass(frozen=True)
class PopulationConfig:
    """What the members of a population differ in, besides their seeds.

    Args:
        vary: keys, each with a list of values, one for each member, or {log: [low, high]}, between
            which each member's is drawn: learning rates, clip_norm, penalties, label_smoothing and
            ema.
        data: what each member is trained on: all of the data, or a part of its own (divided).
    """

    vary: dict[str, list[float] | dict[str, list[float]]] = field(default_factory=dict)
    data: Literal["all", "divided"] = "all"


@dataclass(frozen=True)
class TournamentConfig:
    """Tournaments between the members of a population.

    Args:
        every: steps between two; null for none.
        select: who may take from whom: pairs (drawn anew for each tournament; the worse from the
            better) or truncation (the worst quarter from the best; Jaderberg et al., 2017).
        judge: frechet (the distance of the sampling generator to data, smaller is better) or
            discriminator (each of a pair decides by its own whose generator it goes on with;
            Jacobs et al., 2019).
        take: what is taken: generator (with its average and its optimizer) or both networks, with
            the values of population.vary.
        samples: generated ones by which a member is judged, and as many of the data.
        data: data files by which members are judged, and which they are not trained on; null for
            those of evaluate.held_out, or else the data that they are trained on.
        perturb: whether who has taken something goes on with other values of population.vary: each
            times 0.8 or 1.25.
        margin: by how much a score must be better than one's own to be taken from.
    """

    every: Annotated[int | None, Bounds(at_least=1)] = None
    select: Literal["pairs", "truncation"] = "pairs"
    judge: Literal["frechet", "discriminator"] = "frechet"
    take: Literal["generator", "both"] = "generator"
    samples: Annotated[int, Bounds(at_least=12, at_most=1_000_000)] = 2048
    data: list[str] | None = None
    perturb: bool = True
    margin: Annotated[float, Bounds(at_least=0)] = 0.0
