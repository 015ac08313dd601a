"""A set of samples that is compared with others: every rank holds some of its blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hpcgan.blocks import BLOCK, own_blocks
from hpcgan.group import Group


class Tile(NamedTuple):
    """A block of feature vectors.

    Attributes:
        first: the number of its first sample among those of all ranks.
        features: (n, d), at most ``BLOCK`` of them.
    """

    first: int
    features: np.ndarray


@dataclass(frozen=True)
class Samples:
    """Samples of one kind, spread over the ranks by blocks (``hpcgan.blocks``).

    A rank may have none. What is computed from two tiles is the same bit for bit on any number of
    ranks, since tiles are: so distances are compared with each other, not with a tolerance.

    Attributes:
        group: the ranks.
        count: samples of all ranks together.
        images: this rank's, (own, *sample_shape), in the data's dtype.
        features: of these, (own, d) float64; (own, 0) before they are computed.
        labels: of these, (own,) or (own, K), as in the data; None for none.
        probabilities: that each of these belongs to each class, (own, classes) float64; None where
            the features come from no classifier.
    """

    group: Group
    count: int
    images: np.ndarray
    features: np.ndarray
    labels: np.ndarray | None = None
    probabilities: np.ndarray | None = None

    @property
    def numbers(self) -> np.ndarray:
        """The numbers of this rank's samples among those of all ranks, (own,) int64."""
        blocks = own_blocks(self.group.rank, self.group.size, self.count)
        return np.concatenate([np.zeros(0, np.int64), *map(np.asarray, blocks)])

    def own_tiles(self) -> Iterator[Tile]:
        """Yield this rank's blocks of feature vectors."""
        return _tiles(self.group.rank, self.group.size, self.features)

    def all_tiles(self) -> Iterator[Tile]:
        """Yield all blocks of feature vectors, this rank's first; no rank holds all of them.

        All ranks must call it, and take all that it gives.
        """
        for rank, features in self.group.around(self.features):
            yield from _tiles(rank, self.group.size, features)


def _tiles(rank: int, size: int, features: np.ndarray) -> Iterator[Tile]:
    """Yield the blocks of a rank's feature vectors."""
    for place in range(0, len(features), BLOCK):
        yield Tile(place * size + rank * BLOCK, features[place : place + BLOCK])
