"""What a population prints about itself, a line each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hpcgan.config import Config
from hpcgan.population_commit import Commit
from hpcgan.training.members import Crew
from hpcgan.training.tournament import Take


def opening(config: Config, every: list[Crew], commit: Commit) -> str:
    """Return how the members are divided, in a line."""
    members, ranks = config.parallel.population, sum(len(crew.ranks) for crew in every)
    text = f"hpcgan: {config.name}: a population of {members} on {ranks} ranks"
    if commit.round:
        text += f", from tournament {commit.round} on"
    if members > ranks:
        return f"{text}, each of which trains up to {-(-members // ranks)} in turn"
    return f"{text}, up to {-(-ranks // members)} of which train one together"


def told(commit: Commit, scores: Sequence[Any], takes: list[Take], diverged: list[int]) -> str:
    """Return how a tournament went, in a line."""
    took = ", ".join(f"{each.member} from {each.giver}" for each in takes) or "nobody"
    text = f"hpcgan: tournament {commit.round} after step {commit.step}: scores "
    text += f"{'; '.join(map(_scored, scores))}; took: {took}"
    return f"{text}; diverged: {listed(diverged)}" if diverged else text


def _scored(score: Any) -> str:
    """Return a score in words: a number, two of them, or none."""
    if isinstance(score, list | tuple):
        return "/".join(map(_scored, score))
    return "-" if score is None else f"{score:.4g}"


def listed(numbers: list[int]) -> str:
    """Return numbers of members in words."""
    return ", ".join(map(str, numbers)) or "none"
