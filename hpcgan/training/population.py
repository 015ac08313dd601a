"""Several GANs at once: a population, each member of which is a run of its own.

    ranks 0, 1   member 0, then member 1    RUN/member_0, RUN/member_1
    ranks 2, 3   member 2                   RUN/member_2

Member k is the run of the same configuration with ``seed`` + k: it trains the same networks as if
it were alone, in a directory that every other command understands. Where there are more ranks than
members, neighbouring ranks train one together; where there are fewer, they train theirs in turn.
What fails in one does not end the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hpcgan import varied
from hpcgan.config import KEYS, Config, PopulationConfig
from hpcgan.config_checks import check_values
from hpcgan.data.shards import hosted_shards
from hpcgan.devices import prepare_tensorflow
from hpcgan.errors import ConfigError, RunError, Stopped, UserError
from hpcgan.files import writing
from hpcgan.training import directory
from hpcgan.world import World

if TYPE_CHECKING:
    from hpcgan.training.heartbeat import Heartbeat
    from hpcgan.training.stop import Request


class Crew(NamedTuple):
    """Neighbouring ranks that train some members.

    Attributes:
        number: of the crew.
        ranks: in the world.
        members: that they train, one after the other.
    """

    number: int
    ranks: range
    members: range


class Failure(NamedTuple):
    """What ended a member's run before its last step.

    Attributes:
        member: its number.
        status: the exit status that its run would have had.
        message: what it would have said.
    """

    member: int
    status: int
    message: str


def crews(members: int, ranks: int) -> Iterator[Crew]:
    """Yield the crews of a population: as many as possible, as even as possible."""
    number = min(members, ranks)
    for crew in range(number):
        own = hosted_shards(ranks, number, crew), hosted_shards(members, number, crew)
        yield Crew(crew, *own)


def member_config(config: Config, member: int) -> Config:
    """Return the configuration of a member: a run's, with a seed and values of its own."""
    for key, value in varied.values(config, member).items():
        config = varied.with_value(config, key, value)
    return replace(
        config,
        name=f"{config.name}-{member}",
        seed=config.seed + member,
        data=replace(config.data, shards=config.data.shards or 1),
        parallel=replace(config.parallel, population=1),
        population=PopulationConfig(),
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
        check_values(member_config(config, member), f"member {member}")
    fullest = max(len(crew.ranks) for crew in crews(members, ranks))
    shards = config.data.shards or 1
    if fullest > shards:
        raise ConfigError(
            f"{members} members on {ranks} ranks have up to {fullest} ranks each, and data.shards, "
            f"which is of each member, is {shards}; use more shards, or at most {members * shards} "
            "ranks"
        )


def train(
    world: World,
    config: Config,
    run_dir: Path,
    resume: str,
    allow_change: bool,
    request: Request,
) -> None:
    """Train all members to their last steps, or go on with them. All ranks must call it.

    Raises:
        UserError: the population cannot be trained so, or some members' runs have failed, each of
            which is named (on all ranks).
        Stopped: somebody asked for it; each member goes on where it was (on all ranks).
    """
    world.all_or_raise(lambda: check(config, world.size, resume))
    world.on_root(lambda: _make(run_dir))
    world.all_or_raise(lambda: prepare_tensorflow(world))  # after all that is told at once
    from hpcgan.ring import Ring
    from hpcgan.training.heartbeat import Heartbeat

    every = list(crews(config.parallel.population, world.size))
    (own,) = (crew for crew in every if world.rank in crew.ranks)
    if world.is_root:
        print(_opening(config, every), flush=True)
    part = world.part(own.number)
    if any(len(crew.ranks) > 1 for crew in every):
        Ring(world, [part])  # Horovod makes all groups when it starts
    heartbeat = Heartbeat(world, config.run.stall_seconds)
    failures = []
    with heartbeat.beating():
        for member in own.members:
            failure = _train_member(
                part, config, run_dir, member, resume, allow_change, request, heartbeat
            )
            if failure:
                failures.append(failure)
            if failure and failure.status == Stopped.status:
                break
        # Others may take hours longer; those who are done rest, and the heartbeat knows it.
        world.wait_asleep()
    own_failures = failures if part.is_root else []
    found = [Failure(*each) for rank in world.gather_json(own_failures) for each in rank]
    raise_failures(found, config.parallel.population)
    if world.is_root:
        last = config.parallel.population - 1
        print(f"hpcgan: all members have finished: {run_dir}/member_0 to member_{last}", flush=True)


def _train_member(
    part: World,
    config: Config,
    run_dir: Path,
    member: int,
    resume: str,
    allow_change: bool,
    request: Request,
    heartbeat: Heartbeat,
) -> Failure | None:
    """Train a member; return what ended it too early, if anything did."""
    from hpcgan.training import run

    label = f"member {member}: "
    place = run_dir / f"member_{member}"
    own = member_config(config, member)
    if part.is_root and config.population.vary:
        values = varied.values(config, member).items()
        print(label + ", ".join(f"{key} {value:.4g}" for key, value in values), flush=True)
    try:
        with directory.held(part, own, place, resume, allow_change) as plan:
            if plan.is_finished:
                if part.is_root:
                    print(f"{label}finished already: {plan.found and plan.found.path}", flush=True)
                return None
            run.train_watched(part, replace(plan, label=label), request, heartbeat)
    except UserError as error:
        if not error.on_all_ranks:
            raise  # it ends all ranks, since the others of the crew may wait for this one
        return Failure(member, error.status, str(error))
    return None


def _make(run_dir: Path) -> None:
    with writing(run_dir):
        run_dir.mkdir(parents=True, exist_ok=True)


def _opening(config: Config, every: list[Crew]) -> str:
    """Return how the members are divided, in a line."""
    members, ranks = config.parallel.population, sum(len(crew.ranks) for crew in every)
    text = f"hpcgan: {config.name}: a population of {members} on {ranks} ranks"
    if members > ranks:
        return f"{text}, each of which trains up to {-(-members // ranks)} in turn"
    return f"{text}, up to {-(-ranks // members)} of which train one together"


def raise_failures(failures: list[Failure], members: int) -> None:
    """Raise what has ended members' runs too early, on all ranks."""
    lines = "; ".join(f"member {each.member}: {each.message}" for each in failures)
    statuses = {each.status for each in failures}
    if Stopped.status in statuses:  # those who were stopped can go on, whatever became of others
        raise Stopped(lines)
    if failures:
        kind = ConfigError if statuses == {ConfigError.status} else RunError
        raise kind(f"{len(failures)} of {members} members have failed: {lines}", on_all_ranks=True)
