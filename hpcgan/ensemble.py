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
from typing import NamedTuple

import numpy as np

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

    Members whose samples are not finite are added to those that are left out.

    Raises:
        DataError: the data are missing, damaged or too few, or of another kind.
        CheckpointError: no member's samples are finite.
    """
    config = population.config
    source = open_judging(world, config, "proportions are fitted")
    world.all_or_raise(lambda: _check_data(population, source))
    world.all_or_raise(lambda: prepare_for_blocks(world.cores, world.node_rank))
    judge = FrechetJudge(world, source, config.tournament.samples)
    every = {}
    for member, found in population.members.items():
        moments = _measure(world, judge, found, config.tournament.samples, _SEED + member)
        if moments is None:
            population.absent[member] = "its samples are not finite"
        else:
            every[member] = moments
    if not every:
        raise CheckpointError(
            f"no member can make samples: {_listed(population.absent)}", on_all_ranks=True
        )
    return _fitted(world, every, judge)


def _fitted(world: World, every: Mapping[int, Moments], judge: FrechetJudge) -> Mixture:
    """Return the mixture of members by their moments. All ranks must call it."""
    moments, reference = list(every.values()), judge.reference
    weights = mixture.fit(moments, reference) if world.is_root else np.zeros(len(moments))
    weights = world.broadcast_array(weights)
    alone = {member: distance(own, reference) for member, own in every.items()}
    best = min(alone, key=lambda member: alone[member])
    return Mixture(
        {member: float(w) for member, w in zip(every, weights, strict=True) if w},
        distance(mixture.mixed(moments, weights), reference),
        best,
        alone[best],
        judge.features,
    )


def _check_data(population: Population, source: Source) -> None:
    """Refuse data that members cannot be compared with."""
    for found in population.members.values():
        kind = found.sample_shape, found.dtype, found.samples.values
        if kind != source.kind:
            raise DataError(
                f"{source.files[0]}: has samples {source.kind}, and those of {found.path} are "
                f"{kind}: shape, dtype and mapping of values must agree"
            )


def _measure(
    world: World, judge: FrechetJudge, found: Checkpoint, count: int, seed: int
) -> Moments | None:
    """Return the moments of a member's samples; None if they are not finite."""
    from hpcgan.gan.state import State

    state = State(found.config, found.sample_shape)
    checkpoint.restore(world, state, _again(world, found))
    return judge.moments_of(state, found.config, found.samples.counts, count, seed)


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
