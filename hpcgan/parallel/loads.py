"""How much each rank gives and gets in a hand-over of split: pure functions of the placing."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hpcgan.parallel.placing import Placing


class Load(NamedTuple):
    """What a rank gives to each rank, and gets in all, in numbers."""

    sends: list[int]
    receives: int

    def __add__(self, other: object) -> Load:
        """Return both in one hand-over."""
        assert isinstance(other, Load)
        sends = [a + b for a, b in zip(self.sends, other.sends, strict=True)]
        return Load(sends, self.receives + other.receives)


class Loads:
    """The loads of a rank."""

    def __init__(self, placing: Placing, rank: int) -> None:
        """Prepare those of ``rank``."""
        self._placing, self._rank = placing, rank
        first = placing.generator_ranks
        self._of_g, self._of_d = range(first), range(first, placing.ranks)

    def samples(self, of_shard: int) -> Load:
        """Return that of a step's samples: of each shard that two ranks both host, so many."""
        return self._load(lambda g, d: of_shard * self._placing.in_common(g, d), to_g=False)

    def parts(self, length: int) -> Load:
        """Return that of D, a vector of some length: each of its ranks gives a part of it."""
        return self._load(lambda g, d: -(-length // len(self._of_d)), to_g=True)

    def signs(self, to_g: bool) -> Load:
        """Return that of one number from each rank of a network to each of the other."""
        return self._load(lambda g, d: 1, to_g)

    def _load(self, length: Callable[[int, int], int], to_g: bool) -> Load:
        """Return the load in which a rank of G and one of D have ``length(g, d)`` in common."""
        is_of_g = self._rank in self._of_g
        if is_of_g:
            lengths = [0] * len(self._of_g) + [length(self._rank, d) for d in self._of_d]
        else:
            lengths = [length(g, self._rank) for g in self._of_g] + [0] * len(self._of_d)
        if is_of_g == to_g:
            return Load([0] * len(lengths), sum(lengths))
        return Load(lengths, 0)
