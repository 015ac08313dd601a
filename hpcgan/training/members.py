"""The members of a population: what each is, and which ranks train which.

    ranks 0, 1   member 0    where there are more ranks than members, neighbours train one together
    rank 2       member 1

    rank 0   members 0, 1    where there are fewer, each trains several in turn
    rank 1   members 2, 3, 4

Ranks that train the same members are a crew. Crews stay; their members may change, since no result
depends on who trains a member.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from hpcgan import varied
from hpcgan.config import KEYS, Config
from hpcgan.config_checks import check_values
from hpcgan.config_population import PopulationConfig, TournamentConfig
from hpcgan.data.shards import hosted_shards
from hpcgan.errors import ConfigError

# Members change places only if the slowest crew is then done sooner by this part at least.
_WORTH_IT = 0.1


class Crew(NamedTuple):
    """Neighbouring ranks that train some members.

    Attributes:
        number: of the crew.
        ranks: in the world.
        members: that they train at first, one after the other.
    """

    number: int
    ranks: range
    members: range


def crews(members: int, ranks: int) -> Iterator[Crew]:
    """Yield the crews of a population: as many as possible, as even as possible."""
    number = min(members, ranks)
    for crew in range(number):
        own = hosted_shards(ranks, number, crew), hosted_shards(members, number, crew)
        yield Crew(crew, *own)


def shares(members: int, seconds: Sequence[float]) -> list[int]:
    """Return how many members each crew gets, so that the slowest is done soonest.

    Each goes to the crew that is then done first; ``seconds`` are those that a crew needs for a
    member.
    """
    counts = [0] * len(seconds)
    for _ in range(members):
        crew = min(range(len(seconds)), key=lambda crew: (counts[crew] + 1) * seconds[crew])
        counts[crew] += 1
    return counts


def rebalanced(now: Sequence[Sequence[int]], seconds: Sequence[float]) -> list[list[int]]:
    """Return the members of each crew from now on, of which as few as possible change places.

    Args:
        now: the members of each crew.
        seconds: that each crew needs for a member.
    """
    counts = shares(sum(map(len, now)), seconds)
    longest, then = (
        max(count * each for count, each in zip(every, seconds, strict=True))
        for every in (map(len, now), counts)
    )
    if then > (1 - _WORTH_IT) * longest:
        return [list(each) for each in now]
    found = [list(each[:count]) for each, count in zip(now, counts, strict=True)]
    free = iter([m for each, count in zip(now, counts, strict=True) for m in each[count:]])
    for each, count in zip(found, counts, strict=True):
        each.extend(next(free) for _ in range(count - len(each)))
        each.sort()
    return found


def config_of(config: Config, member: int) -> Config:
    """Return the configuration of a member: a run's, with a seed and values of its own."""
    for key, value in varied.values(config, member).items():
        config = varied.with_value(config, key, value)
    own, number = config.data, config.parallel.population
    part = [member, number] if config.population.data == "divided" else own.part
    keep = config.checkpoint.keep
    if config.tournament.every is not None:
        keep = max(2, keep)  # the newest one may be of a tournament that is not over
    return replace(
        config,
        name=f"{config.name}-{member}",
        seed=config.seed + member,
        data=replace(own, shards=own.shards or 1, part=part),
        parallel=replace(config.parallel, population=1),
        population=PopulationConfig(),
        tournament=TournamentConfig(),
        checkpoint=replace(config.checkpoint, keep=keep),
    )


def check(config: Config, ranks: int, resume: str) -> None:
    """Refuse a population that cannot be trained on so many ranks."""
    members, most_seed = config.parallel.population, KEYS["seed"].bounds.at_most
    assert most_seed is not None
    if config.seed + members - 1 > most_seed:
        raise ConfigError(
            f"seed is {config.seed}, and parallel.population {members} takes as many from there; "
            f"the last may be {most_seed:.0f}"
        )
    if config.parallel.mode != "synchronous" or config.train.discriminators > 1:
        raise ConfigError(
            f"parallel.population is {members}, whose members are trained synchronously, with one "
            "discriminator each; leave out parallel.mode and train.discriminators"
        )
    if resume not in ("auto", "never"):
        raise ConfigError(
            f"--resume {resume} names one checkpoint, and parallel.population is {members}; use "
            "auto or never"
        )
    for member in range(members):
        check_values(config_of(config, member), f"member {member}")
    fullest = max(len(crew.ranks) for crew in crews(members, ranks))
    shards = config.data.shards or 1
    if fullest > shards:
        raise ConfigError(
            f"{members} members on {ranks} ranks have up to {fullest} ranks each, and data.shards, "
            f"which is of each member, is {shards}; use more shards, or at most {members * shards} "
            "ranks"
        )
