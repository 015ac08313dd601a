"""What a start trains: one GAN, or a population, step by step and by the very code of ``train``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hpcgan.config import Config
from hpcgan.data.source import Source
from hpcgan.devices import prepare_tensorflow
from hpcgan.evaluation.judging import FrechetJudge
from hpcgan.files import json_lines
from hpcgan.group import Group
from hpcgan.training import directory
from hpcgan.training.members import crews
from hpcgan.training.plan import Plan
from hpcgan.training.stop import Request
from hpcgan.world import World

if TYPE_CHECKING:
    from hpcgan.gan.state import State
    from hpcgan.training.population import Population
    from hpcgan.training.run import Compiled, Run

# Seeds of the latents: the samples by which a member is chosen are not those that are reported.
_JUDGED, _REPORTED = 0, 1_000_000_007
Scores = list[float | None]  # distances to the judging part and to the report's


class Judges:
    """The distances of generators to the two parts of the data that are not trained on."""

    def __init__(self, judge: Source, report: Source) -> None:
        """Judge by these data, which are read when they are first needed."""
        self._sources = judge, report
        self._judges: tuple[FrechetJudge, FrechetJudge] | None = None

    def scores(self, group: Group, plan: Plan, state: State) -> Scores:
        """Return a GAN's distances. All ranks of the group must call it."""
        if self._judges is None:  # a rank scores in one group alone, from its first GAN to its last
            first, second = (FrechetJudge(group, each, len(each)) for each in self._sources)
            self._judges = first, second
        counts = plan.samples.counts
        seeds = zip(self._judges, (_JUDGED, _REPORTED), strict=True)
        return [judge.score(state, plan.config, counts, seed) for judge, seed in seeds]


class Subject(Protocol):
    """What is trained. All ranks must call its methods together.

    Attributes:
        images_per_step: real samples of all ranks.
        generator_ranks: that train G alone, in split.
    """

    images_per_step: int
    generator_ranks: int | None

    def train_to(self, step: int) -> None:
        """Train to a step, with the tournaments on the way; raise ``Diverged`` if it ends there."""

    def scores(self, judges: Judges) -> list[Scores | None]:
        """Return the distances of each GAN, on all ranks; None of one that has diverged."""

    def bytes_per_step(self) -> float:
        """Return what a rank sends in a step, on average; the networks are others then."""

    def taken_bytes(self) -> int:
        """Return what tournaments have handed over until now."""


@contextmanager
def opened(world: World, config: Config, run_dir: Path) -> Iterator[Subject]:
    """Give what a configuration trains. All ranks must enter it.

    It writes to ``run_dir``, as a run does; an earlier one there is set aside.

    Raises:
        UserError: something is wrong; the same on all ranks.
    """
    request = Request(None, {})  # ranks that are to stop just end: the start is made again
    if config.parallel.population > 1:
        from hpcgan.training import population

        opened_all = population.opened(world, config, run_dir, "never", False, request)
        with opened_all as members:
            yield Several(world, config, run_dir, members)
        return
    with directory.held(world, config, run_dir, "never", environment={}) as plan:
        world.all_or_raise(lambda: prepare_tensorflow(world))
        from hpcgan.training import run
        from hpcgan.training.heartbeat import Heartbeat

        heartbeat = Heartbeat(world, config.run.stall_seconds)
        with heartbeat.beating(), run.opened(world, plan, request, heartbeat) as (one, plan, own):
            yield Single(world, one, plan, own)
            one.leave("")


class Single:
    """One GAN."""

    def __init__(self, world: World, run: Run, plan: Plan, compiled: Compiled) -> None:
        """Train ``run``."""
        from hpcgan.training.sharing import Sharing

        self._world, self._run, self._plan, self._compiled = world, run, plan, compiled
        self._sharing = Sharing(world, compiled.state, compiled.strategy)
        self.images_per_step = plan.images_per_step
        self.generator_ranks = plan.config.parallel.generator_ranks

    def train_to(self, step: int) -> None:
        """Train to a step, as ``Subject``."""
        self._run.fit(step)

    def scores(self, judges: Judges) -> list[Scores | None]:
        """Return its distances, as ``Subject``."""
        self._sharing.share()
        return [self._world.broadcast_json(self._scores(judges))]

    def _scores(self, judges: Judges) -> Scores:
        return judges.scores(self._world, self._plan, self._compiled.state)

    def bytes_per_step(self) -> float:
        """Return what is sent in a step, counted as it is compiled without anybody to send to."""
        from hpcgan.data.placement import opened_shards
        from hpcgan.scaling.calls import Given
        from hpcgan.scaling.measure import without_exchange
        from hpcgan.training.timer import Timer

        plan, state = self._plan, self._compiled.state
        with opened_shards(self._world, plan.config, plan.source, plan.assignment) as shards:
            given = Given(self._world, plan, state, shards)
            silence, strategy = without_exchange(given)
            given.trainer(strategy, Timer()).fit(state.step + 1, 1)
        own = sum(
            sent_by_ring(each.sent, each.ranks) if each.kind == "sum" else each.sent
            for each in silence.meetings
        )
        swap = plan.config.train.swap_every
        if swap:  # one discriminator of all moves from each rank, with its optimizer
            own += _bytes(state, "discriminator") / len(state.discriminators) / swap
        every = self._world.gather_json(own)
        return sum(every) / len(every)

    def taken_bytes(self) -> int:
        """Return 0: there is nobody to take from."""
        return 0


class Several:
    """A population."""

    def __init__(self, world: World, config: Config, run_dir: Path, population: Population) -> None:
        """Train a population that writes to ``run_dir``."""
        self._world, self._config, self._run_dir = world, config, run_dir
        self._population = population
        each = config.train.batch_size * config.train.discriminator_steps
        self.images_per_step = each * (config.data.shards or 1) * config.parallel.population
        self.generator_ranks: int | None = None

    def train_to(self, step: int) -> None:
        """Train all members to a step, as ``Subject``."""
        self._population.train_to(step)

    def scores(self, judges: Judges) -> list[Scores | None]:
        """Return the distances of each member, as ``Subject``."""
        return self._population.each_member(judges.scores)

    def bytes_per_step(self) -> float:
        """Return what is sent in a step within the members that several ranks train together."""
        every = self._population.each_member(lambda *given: _gradient_bytes(given[2]))
        own = next((each for each in every if each), 0)  # all have the same networks
        sent = [
            len(crew.ranks) * sent_by_ring(own, len(crew.ranks))
            for crew in crews(self._config.parallel.population, self._world.size)
        ]
        return sum(sent) / self._world.size

    def taken_bytes(self) -> int:
        """Return the bytes of all that members have taken, also from others of their rank."""
        group = "" if self._config.tournament.take == "both" else "generator"
        every = self._population.each_member(lambda *given: _bytes(given[2], group))
        size = next((each for each in every if each), 0)

        def taken() -> int:
            lines = json_lines(self._run_dir / "tournaments.jsonl", "took")
            return sum(len(line["took"]) for _, line in lines)

        return size * int(self._world.on_root(taken))


def sent_by_ring(bytes_: float, ranks: int) -> float:
    """Return what each of some ranks sends in a ring all-reduce (Patarasuk and Yuan, 2009)."""
    return 2 * (ranks - 1) / ranks * bytes_


def _bytes(state: State, group: str) -> int:
    """Return the bytes of all variables of a checkpoint's groups whose names begin so."""
    arrays = state.arrays()
    return sum(
        array.nbytes
        for name, named in arrays.items()
        if name.startswith(group)
        for array in named.values()
    )


def _gradient_bytes(state: State) -> int:
    """Return the bytes of the gradients of both networks, in float32."""
    models = [state.generator, *state.discriminators]
    return 4 * sum(math.prod(each.shape) for model in models for each in model.trainable_variables)
