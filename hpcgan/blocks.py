"""Blocks of samples, which ranks share out: what is computed block by block is the same on any
number of ranks."""

from __future__ import annotations

# Samples of a block; the last may be shorter.
BLOCK = 256


def own_blocks(rank: int, size: int, count: int) -> list[range]:
    """Return the sample numbers of the blocks of one of ``size`` ranks: rank, rank + size, ...

    ``count`` is the number of samples of all ranks together.
    """
    firsts = range(rank * BLOCK, count, size * BLOCK)
    return [range(first, min(first + BLOCK, count)) for first in firsts]
