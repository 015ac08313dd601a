"""``hpcgan generate --ensemble``: samples of a mixture of a population's members.

Each member's moments are measured once, on samples that are not written; the proportions follow
from them (``evaluation.mixture``). Then the members that have a part take turns (``hpcgan.turns``).
The j-th sample that member k makes is sample j of ``hpcgan generate RUN/member_k`` with seed + k:
members may have one ancestor, and from the same latents they would make nearly the same samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from hpcgan import checkpoint, population_commit
from hpcgan import generate as plain
from hpcgan.checkpoint import Checkpoint
from hpcgan.config import Config
from hpcgan.config_file import from_yaml, to_yaml
from hpcgan.data.source import Source
from hpcgan.devices import prepare_for_blocks
from hpcgan.errors import CheckpointError, ConfigError, DataError
from hpcgan.evaluation import mixture
from hpcgan.evaluation.figures.frechet import Moments, distance
from hpcgan.evaluation.judging import FrechetJudge, open_judging
from hpcgan.generation.form import Output
from hpcgan.generation.labels_file import LabelsFile
from hpcgan.generation.producer import Producer
from hpcgan.generation.sampler import Wanted
from hpcgan.generation.write import write
from hpcgan.population_commit import Commit, member_directory
from hpcgan.sealed import digest_of
from hpcgan.training.stop import Request
from hpcgan.turns import PERIOD, Turns
from hpcgan.world import World

# Of the latents by which members are measured: far from what anyone gives as --seed.
_SEED = 2**62


class Population(NamedTuple):
    """The members of a population that can make samples.

    Attributes:
        config: of the population.
        members: the checkpoint of each, without arrays, by the member's number.
        absent: those that are left out, and why.
    """

    config: Config
    members: dict[int, Checkpoint]
    absent: dict[int, str]


class Mixture(NamedTuple):
    """A mixture of members.

    Attributes:
        weights: by the member's number, whole numbers of ten-thousandths with sum 1; members
            without a part are not here.
        distance: the mixture's Fréchet distance to the data, by the formula.
        best: the best member.
        of_best: its distance.
        features: the name of the features.
    """

    weights: dict[int, float]
    distance: float
    best: int
    of_best: float
    features: str


def generate(
    world: World, run_dir: Path, wanted: Wanted, output: Output, request: Request | None = None
) -> None:
    """Write samples of a mixture of a population's members.

    All ranks must call it; the arguments are those of ``generate.generate``.

    Raises:
        ConfigError: an option is wrong, the path is no population's, or the checkpoints name
            functions that may not be run.
        CheckpointError: no member has a whole checkpoint.
        DataError: the data by which the members are judged are missing or damaged.
        RunError: the samples cannot be written.
        Stopped: the request was made; the parts that are whole are there.
    """
    plain.check(world, wanted, output)
    population = open_population(world, run_dir)
    labels = None
    for found in population.members.values():
        labels = plain.prepare(world, found, wanted, output)
    fitted = fit(world, population)
    if world.is_root:
        _tell(population, fitted)
    digests = world.on_root(
        lambda: {
            str(member): digest_of(population.members[member].path) for member in fitted.weights
        }
    )
    facts = {"checkpoints": digests, "proportions": list(fitted.weights.values())}
    maker = producer(world, population, fitted.weights, wanted, labels)
    like = next(iter(population.members.values()))
    origin = f"{len(fitted.weights)} members of {run_dir}"
    write(world, maker, like, facts, wanted, output, origin, request)


def open_population(world: World, run_dir: Path) -> Population:
    """Find the newest whole checkpoint of each member. All ranks must call it.

    Raises:
        ConfigError: the path is no population's.
        CheckpointError: there is no checkpoint.
    """
    commit = _read_commit(world, run_dir)
    members: dict[int, Checkpoint] = {}
    absent = dict.fromkeys(commit.diverged, "diverged")
    for member in range(commit.config.parallel.population):
        if member in absent:
            continue
        place = member_directory(run_dir, member) / "checkpoints"
        # What has been through a tournament that was not committed does not count.
        found = checkpoint.read_together(world, partial(_newest, place, commit.round))
        if found:
            members[member] = replace(found, groups={})
        else:
            absent[member] = "no whole checkpoint"
    if not members:
        raise CheckpointError(
            f"{run_dir}: no member can make samples: {_listed(absent)}", on_all_ranks=True
        )
    return Population(commit.config, members, absent)


def _newest(checkpoints: Path, rounds: int) -> Checkpoint | None:
    found, _ = checkpoint.newest(checkpoints, rounds)
    return found


def _read_commit(world: World, run_dir: Path) -> Commit:
    """Return how far a population has come, as rank 0 reads it. All ranks must call it."""

    def read() -> tuple[str, int, int, tuple[int, ...]]:
        found = population_commit.read(run_dir)
        if found is None:
            raise ConfigError(
                f"{run_dir}: is no population's directory (it has no population.json), and "
                "--ensemble is of the members of a population; leave it out for one run's samples"
            )
        return to_yaml(found.config), found.round, found.step, found.diverged

    text, number, step, diverged = world.on_root(read)
    return Commit(from_yaml(text, str(run_dir)), number, step, tuple(diverged))


def fit(world: World, population: Population) -> Mixture:
    """Find the proportions in which members are nearest to the data. All ranks must call it.

    The ranks share out the members.
    Members whose samples are not finite are added to those that are left out.

    Raises:
        DataError: the data are missing, damaged or too few, or of another kind.
        CheckpointError: no member's samples are finite.
    """
    config = population.config
    source = open_judging(world, config, "proportions are fitted")
    world.all_or_raise(lambda: _check_data(population, source))
    world.all_or_raise(lambda: prepare_for_blocks(world))
    own = list(population.members)[world.rank :: world.size]
    alone = world.part(world.rank)
    moments, judge = world.all_or_raise(lambda: _measure(alone, population, own, source))
    names = [member for each in world.gather_json(list(moments)) for member in each]
    for member in population.members.keys() - names:
        population.absent[member] = "its samples are not finite"
    if not names:
        raise CheckpointError(
            f"no member can make samples: {_listed(population.absent)}", on_all_ranks=True
        )
    rows = _gathered(world, list(moments.values()), judge)
    weights, *rest = world.on_root(
        lambda: _fitted(dict(sorted(zip(names, rows, strict=True))), judge)
    )
    return Mixture(dict(weights), *rest)


def _measure(
    alone: World, population: Population, members: list[int], source: Source
) -> tuple[dict[int, Moments], FrechetJudge | None]:
    """Return the moments of members whose samples are finite; and the judge, if there are members.

    Needs no other rank.

    A member's sums are made by one rank with one thread: they, and so the proportions, are the
    same on any number of ranks.
    """
    from hpcgan.gan.state import State

    if not members:
        return {}, None
    count, found = population.config.tournament.samples, {}
    with threadpool_limits(1, user_api="blas"):
        judge = FrechetJudge(alone, source, count)
        for member in members:
            read = checkpoint.read(population.members[member].path)
            state = State(read.config, read.sample_shape)
            checkpoint.restore(alone, state, read)
            of_classes = read.samples.counts
            own = judge.moments_of(state, read.config, of_classes, count, _SEED + member)
            if own is not None:
                found[member] = own
    return found, judge


def _gathered(world: World, own: list[Moments], judge: FrechetJudge | None) -> list[Moments]:
    """Return the moments of all ranks' members on rank 0, in the order of the ranks.

    Rank 0 has a member, so that it knows their dimension. All ranks must call it.
    """
    dimension = world.broadcast_json(len(judge.reference.mean) if judge else 0)
    stacked = np.array([np.vstack([each.mean, each.covariance]) for each in own])
    rows = world.gather_arrays(stacked.reshape(-1, 1 + dimension, dimension))
    return [] if rows is None else [Moments(each[0], each[1:]) for each in rows]


def _fitted(every: Mapping[int, Moments], judge: FrechetJudge | None) -> list[Any]:
    """Return the fields of the mixture of members by their moments."""
    assert judge
    reference, moments = judge.reference, list(every.values())
    with threadpool_limits(1, user_api="blas"):
        weights = mixture.fit(moments, reference)
        found = distance(mixture.mixed(moments, weights), reference)
        alone = {member: distance(own, reference) for member, own in every.items()}
    best = min(alone, key=lambda member: alone[member])
    parts = [(member, float(w)) for member, w in zip(every, weights, strict=True) if w]
    return [parts, found, best, alone[best], judge.features]


def _check_data(population: Population, source: Source) -> None:
    """Refuse data that members cannot be compared with."""
    for found in population.members.values():
        kind = found.sample_shape, found.dtype, found.samples.values
        if kind != source.kind:
            raise DataError(
                f"{source.files[0]}: has samples {source.kind}, and those of {found.path} are "
                f"{kind}: shape, dtype and mapping of values must agree"
            )


def _again(world: World, found: Checkpoint) -> Checkpoint:
    """Return a checkpoint with its arrays on rank 0, which holds one at a time."""
    read = checkpoint.read_together(world, lambda: checkpoint.read(found.path))
    assert read
    return read


def producer(
    world: World,
    population: Population,
    weights: Mapping[int, float],
    wanted: Wanted,
    labels: LabelsFile | None = None,
) -> Producer:
    """Return what makes the samples of a mixture. All ranks must call it."""
    samplers = [
        plain.open_sampler(
            world,
            _again(world, population.members[member]),
            replace(wanted, seed=wanted.seed + member),
        )
        for member in weights
    ]
    proportions = np.rint(np.array(list(weights.values())) * PERIOD).astype(np.int64)
    return Producer(samplers, Turns(proportions), labels)


def _tell(population: Population, fitted: Mixture) -> None:
    """Print the proportions and what they are worth."""
    if population.absent:
        print(f"hpcgan: warning: members left out: {_listed(population.absent)}", flush=True)
    weights = ", ".join(f"member {member} {w:.4f}" for member, w in fitted.weights.items())
    print(f"proportions: {weights}")
    print(
        f"frechet_{fitted.features}: mixture {fitted.distance:.5g}, "
        f"best member ({fitted.best}) {fitted.of_best:.5g}",
        flush=True,
    )


def _listed(absent: Mapping[int, str]) -> str:
    return ", ".join(f"{member} ({why})" for member, why in sorted(absent.items()))
