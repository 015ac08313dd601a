"""The rules of a tournament: who meets whom, who takes from whom, and the values that come of it.

Pure functions of the seed, the number of the tournament and the scores: all ranks that know these
decide alike. A score is better the lower it is; None is that of a member that has diverged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hpcgan.config import KEYS

# Words of the counters of what is drawn: nothing is drawn twice.
_PAIRS, _VALUES = 1, 2
# By which values are multiplied (Jaderberg et al., Population based training, 2017, section 4.1.1,
# has 0.8 and 1.2: these are each other's inverse).
_FACTORS = (0.8, 1.25)


class Take(NamedTuple):
    """A member that goes on with what another has."""

    member: int
    giver: int


def step_of_next(step: int, every: int | None, last: int) -> int | None:
    """Return the step after which the next tournament is held; None if there is none."""
    if every is None or (step // every + 1) * every > last:
        return None
    return (step // every + 1) * every


def draw_pairs(seed: int, number: int, members: int) -> list[tuple[int, int]]:
    """Return who meets whom in tournament ``number``; of an odd number of members one rests."""
    order = _generator(seed, number, 0, _PAIRS).permutation(members).tolist()
    return [(order[i], order[i + 1]) for i in range(0, members - 1, 2)]


def truncation_pairs(scores: Sequence[float | None]) -> list[tuple[int, int]]:
    """Return each of the worst quarter with one of the best, the worst with the best first.

    It is truncation selection of population-based training (Jaderberg et al., 2017, section 4.1.1),
    but with a fixed partner. A quarter is one member at least; of fewer than two there is none.
    """

    def rank(member: int) -> tuple[float, int]:
        score = scores[member]
        return (np.inf if score is None else score, member)

    order = sorted(range(len(scores)), key=rank)
    quarter = min(max(1, len(order) // 4), len(order) // 2)
    return [(order[-1 - i], order[i]) for i in range(quarter)]


def takes_by_score(
    pairs: Sequence[tuple[int, int]], scores: Sequence[float | None], margin: float
) -> list[Take]:
    """Return who takes from whom: of each pair the worse, by more than ``margin``."""
    every = [(a, b) for pair in pairs for a, b in (pair, pair[::-1])]
    return [Take(a, b) for a, b in every if _is_worse(scores[a], scores[b], margin)]


def takes_by_own(
    pairs: Sequence[tuple[int, int]],
    scores: Sequence[tuple[float | None, float | None]],
    margin: float,
) -> list[Take]:
    """Return who takes from whom, where each of a pair decides by its own discriminator.

    Both of a pair may take from each other, and none (Jacobs et al., Parallelizing training of deep
    generative models on massive scientific datasets, 2019, section III).

    Args:
        pairs: who meets whom.
        scores: of each member's generator, and of the other's, by its own discriminator.
        margin: by how much the other's must be better.
    """
    every = [(a, b) for pair in pairs for a, b in (pair, pair[::-1])]
    return [Take(a, b) for a, b in every if _is_worse(*scores[a], margin)]


def _is_worse(own: float | None, other: float | None, margin: float) -> bool:
    return other is not None and (own is None or own > other + margin)


def perturbed(values: Mapping[str, float], seed: int, number: int, member: int) -> dict[str, float]:
    """Return the values with which a member goes on that has taken something.

    Each is multiplied by 0.8 or 1.25, of the decay of an average its distance from 1. One that
    would be out of its key's bounds stays.
    """
    generator = _generator(seed, number, member, _VALUES)
    found = {}
    for key in sorted(values):
        factor = _FACTORS[int(generator.integers(2))]
        new = 1 - factor * (1 - values[key]) if key == "train.ema" else factor * values[key]
        found[key] = values[key] if KEYS[key].bounds.broken(new) else new
    return found


def _generator(seed: int, number: int, member: int, purpose: int) -> np.random.Generator:
    """Return a generator of random numbers for a member at a tournament."""
    key, counter = [seed, number << 32 | member], [0, 0, 0, purpose]
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
