"""Which shards a rank computes and reads, by the way of training: pure functions of numbers."""

from __future__ import annotations

from dataclasses import dataclass

from hpcgan.config import Config
from hpcgan.data.shards import hosted_shards
from hpcgan.errors import ConfigError


@dataclass(frozen=True)
class Placing:
    """The shards on the ranks of a run.

    In split the first ranks train G and the others D, each over all shards; else each rank trains
    both on its own.

    Attributes:
        shards: their number.
        ranks: their number.
        generator_ranks: that train G alone; 0 where all train both.
    """

    shards: int
    ranks: int
    generator_ranks: int = 0

    @property
    def discriminator_ranks(self) -> int:
        """Ranks that train D alone; in split."""
        return self.ranks - self.generator_ranks

    def hosted(self, rank: int) -> range:
        """Return the shards whose batches a rank computes."""
        first = self.generator_ranks
        if rank < first:
            return hosted_shards(self.shards, first, rank)
        return hosted_shards(self.shards, self.ranks - first, rank - first)

    def read(self, rank: int) -> range:
        """Return the shards whose samples a rank reads: G needs none."""
        return range(0) if rank < self.generator_ranks else self.hosted(rank)

    def in_common(self, rank: int, other: int) -> int:
        """Return how many shards two ranks host both."""
        own, others = self.hosted(rank), self.hosted(other)
        return max(0, min(own.stop, others.stop) - max(own.start, others.start))


def of(config: Config, ranks: int) -> Placing:
    """Return the placing of a configuration; ``data.shards`` is resolved to a number.

    In split without ``parallel.generator_ranks`` half of the ranks train G.

    Raises:
        ConfigError: the configuration and the number of ranks do not go together.
    """
    shards = config.data.shards
    assert shards is not None
    if config.parallel.mode != "split":
        if shards < ranks:
            raise ConfigError(
                f"data.shards is {shards}, but there are {ranks} ranks, and a rank without a "
                f"shard has no work; use at most {shards} ranks"
            )
        placing = Placing(shards, ranks)
        _check_discriminators(config.train.discriminators, placing)
        return placing
    if ranks < 2:
        raise ConfigError(
            "parallel.mode is split, which needs two ranks or more; train.staleness: "
            f"{config.staleness} does the same on one"
        )
    generator_ranks = config.parallel.generator_ranks or ranks // 2
    if generator_ranks >= ranks:
        raise ConfigError(
            f"parallel.generator_ranks is {generator_ranks} of {ranks} ranks, and none is left for "
            "the discriminator; use fewer"
        )
    most = max(generator_ranks, ranks - generator_ranks)
    if shards < most:
        raise ConfigError(
            f"data.shards is {shards}, but {most} ranks train one network, and a rank without a "
            "shard has no work; use more shards, or fewer ranks"
        )
    return Placing(shards, ranks, generator_ranks)


def _check_discriminators(number: int, placing: Placing) -> None:
    """Refuse ranks that would hold parts of two discriminators."""
    if placing.shards % number:
        raise ConfigError(
            f"train.discriminators is {number}, which does not divide data.shards, {placing.shards}"
        )
    if _fits(number, placing):
        return
    fitting = [
        ranks
        for ranks in range(1, placing.shards + 1)
        if _fits(number, Placing(placing.shards, ranks))
    ]
    raise ConfigError(
        f"train.discriminators is {number}, and of {placing.ranks} ranks some would hold parts of "
        f"two of them; use {', '.join(map(str, fitting))} ranks, or another number of shards"
    )


def _fits(number: int, placing: Placing) -> bool:
    """Return whether each rank holds whole discriminators, or a part of one."""
    each = placing.shards // number
    for rank in range(placing.ranks):
        own = placing.hosted(rank)
        is_part_of_one = own.start // each == (own.stop - 1) // each
        if not is_part_of_one and (own.start % each or own.stop % each):
            return False
    return True
