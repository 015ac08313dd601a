"""A tournament between the members of a population: judged, and what is taken handed over.

rank 0   members 0, 1   scores --+                  +-- member 1 takes member 2's generator
rank 1   members 2, 3   scores --+-- who takes  ----+
                                    (on all ranks)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from hpcgan.config import Config
from hpcgan.data.source import Source
from hpcgan.evaluation.judging import FrechetJudge, generator_loss
from hpcgan.gan.state import Groups
from hpcgan.training import tournament
from hpcgan.training.hosting import Host
from hpcgan.training.tournament import Take
from hpcgan.world import World

# The score of a member: of its generator, and where each judges by its own D, of the other's, too.
Score = float | None | tuple[float | None, float | None]


class Outcome(NamedTuple):
    """What a tournament has come to; the same on all ranks.

    Attributes:
        pairs: who met whom.
        scores: of each member; None of one that has diverged, or that rests.
        takes: who took from whom.
        values: of the keys of ``population.vary``, of each member from now on.
        diverged: members that have, and have taken nothing.
    """

    pairs: list[tuple[int, int]]
    scores: Sequence[Score]
    takes: list[Take]
    values: list[dict[str, float]]
    diverged: list[int]


class Contest:
    """The tournaments of a population. All ranks must make it, and call its methods together."""

    def __init__(self, world: World, host: Host, config: Config, source: Source | None) -> None:
        """Prepare tournaments of a host's members, judged by ``source`` if by any data."""
        self._world, self._host, self._config = world, host, config
        self._tournament = config.tournament
        self._source = source
        self._judge: FrechetJudge | None = None

    def hold(self, number: int) -> Outcome:
        """Hold tournament ``number``, after the same step of all members.

        When it returns all members go on from their new states, with checkpoints of these.
        """
        own, seed = self._tournament, self._config.seed
        self._host.rest()
        if own.judge == "discriminator":
            pairs = tournament.draw_pairs(seed, number, self._config.parallel.population)
            both = self._by_discriminators(pairs, number)
            scores: Sequence[Score] = both
            takes = tournament.takes_by_own(pairs, both, own.margin)
        else:
            scores = alone = self._everyone(lambda member: self._distance(member, number))
            if own.select == "pairs":
                pairs = tournament.draw_pairs(seed, number, self._config.parallel.population)
            else:
                pairs = tournament.truncation_pairs(alone)
            takes = tournament.takes_by_score(pairs, alone, own.margin)
        diverged = self._everyone(lambda member: self._host.members[member].has_diverged)
        values = self._values(takes, number)
        self._take(takes, values, number)
        takers = {each.member for each in takes}
        left = [m for m, has in enumerate(diverged) if has and m not in takers]
        return Outcome(pairs, scores, takes, values, left)

    # --- scores --------------------------------------------------------------------------------

    def _everyone(self, of_member: Callable[[int], object]) -> list:
        """Return what each member has, on all ranks, as ``Host.everyone``."""
        return self._host.everyone(self._world, of_member)

    def _distance(self, member: int, number: int) -> float | None:
        """Return a member's Fréchet distance; None if it has diverged."""
        assert self._source is not None
        if self._judge is None:
            self._judge = FrechetJudge(self._host.part, self._source, self._tournament.samples)
        held = self._host.members[member]
        if held.has_diverged:
            return None
        _, state = self._host.enter(member)
        return self._judge.score(state, held.plan.config, held.plan.samples.counts, number)

    def _by_discriminators(
        self, pairs: Sequence[tuple[int, int]], number: int
    ) -> list[tuple[float | None, float | None]]:
        """Return the scores of each member's generator and the other's, by its own D."""
        diverged = self._everyone(lambda member: self._host.members[member].has_diverged)
        meetings = [Take(*each) for pair in pairs for each in (pair, pair[::-1])]
        others = {each.member: each.giver for each in meetings}
        given = self._given(meetings, _is_of_generator)

        def scores(member: int) -> tuple[float | None, float | None]:
            own = None if diverged[member] else self._loss(member, number)
            other = others.get(member)
            if other is None or diverged[other]:
                return own, None
            return own, self._loss(member, number, given[member])

        return [tuple(each) for each in self._everyone(scores)]

    def _loss(self, member: int, number: int, other: Groups | None = None) -> float | None:
        """Return the loss of a member's generator by its D, or that of an ``other`` generator."""
        held = self._host.members[member]
        _, state = self._host.enter(member)
        before = state.snapshot() if other else None
        if before and other:
            state.load({**before.groups, **other}, "another member")
        counts, samples = held.plan.samples.counts, self._tournament.samples
        found = generator_loss(self._host.part, state, held.plan.config, counts, samples, number)
        if before:
            state.take(before)
        return found

    # --- what is taken -------------------------------------------------------------------------

    def _values(self, takes: Sequence[Take], number: int) -> list[dict[str, float]]:
        """Return the values of each member after the tournament."""
        before = self._everyone(self._host.values)
        found = list(before)
        for each in takes:
            giver = each.giver if self._tournament.take == "both" else each.member
            found[each.member] = before[giver]
            if self._tournament.perturb:
                own = (self._config.seed, number, each.member)
                found[each.member] = tournament.perturbed(before[giver], *own)
        return found

    def _take(self, takes: Sequence[Take], values: list[dict[str, float]], number: int) -> None:
        """Give each member its state of after tournament ``number``, and write it."""
        host = self._host
        is_taken = (lambda group: True) if self._tournament.take == "both" else _is_of_generator
        given = self._given(takes, is_taken)
        for member, held in sorted(host.members.items()):
            run, state = host.enter(member)
            was_changed = member in given or held.has_diverged
            if member in given:
                state.load({**state.arrays(), **given[member]}, "another member")
                state.values = values[member]
                held.has_diverged = False
                (giver,) = (each.giver for each in takes if each.member == member)
                run.note("took", giver=giver, round=number, values=values[member])
            state.round = number
            if was_changed:
                run.take_over()
            host.save(member, is_new=was_changed)

    def _given(self, takes: Sequence[Take], is_wanted: Callable[[str], bool]) -> dict[int, Groups]:
        """Return what those members of this rank get that take something, as copies.

        The first rank that trains the giver sends it to all ranks that train the taker. All
        members rest then.
        """
        host, here = self._host, self._world.rank
        host.rest()
        numbers = [self._world.ranks.index(rank) for rank in host.part.ranks]
        ranks = self._everyone(lambda member: numbers)
        sends: list[tuple[int, np.ndarray]] = []
        receives: list[tuple[int, np.ndarray]] = []
        found: dict[int, Groups] = {}
        for take in takes:
            sender = ranks[take.giver][0]
            takers = [rank for rank in ranks[take.member] if rank != sender]
            if here == sender:
                own = host.resting(take.giver, is_wanted)
                sends += [(rank, array) for rank in takers for array in _arrays(own)]
            if here in takers:
                own = _empty_like(host.resting(take.member, is_wanted))
                receives += [(sender, array) for array in _arrays(own)]
            if here in ranks[take.member]:
                found[take.member] = own
        self._world.pass_arrays(sends, receives)
        return found


def _arrays(groups: Groups) -> list[np.ndarray]:
    """Return the arrays of groups, in the same order on all ranks."""
    return [array for named in groups.values() for array in named.values()]


def _empty_like(groups: Groups) -> Groups:
    return {
        group: {name: np.empty_like(array, order="C") for name, array in named.items()}
        for group, named in groups.items()
    }


def _is_of_generator(group: str) -> bool:
    """Return whether a group of variables is the generator's: it, its average, its optimizer."""
    return group.startswith("generator")
