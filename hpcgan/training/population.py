"""Several GANs at once: a population, with tournaments between its members.

    ranks 0, 1   member 0   train to the end of the round  --+--  judge, take  --  commit  --  ...
    rank 2       member 1   train to the end of the round  --+

Member k is the run of the same configuration with ``seed`` + k: it trains the same networks as if
it were alone, in a directory that every other command understands. Within a round no rank talks to
any outside of its member; at the end of one all ranks meet, those of diverged members, too. The
round is over when rank 0 has written ``population.json``, after all members' checkpoints: a
population that was killed goes on from there, and what came after is made again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hpcgan import population_commit
from hpcgan.config import Config
from hpcgan.devices import prepare_tensorflow
from hpcgan.errors import ConfigError, Diverged, RunError, Stopped, UserError
from hpcgan.evaluation.judging import open_judging
from hpcgan.files import json_lines, write_whole
from hpcgan.population_commit import Commit
from hpcgan.training import directory, population_lines, tournament
from hpcgan.training.members import Crew, check, crews, rebalanced
from hpcgan.world import World

if TYPE_CHECKING:
    from hpcgan.gan.state import State
    from hpcgan.training.contest import Contest
    from hpcgan.training.hosting import Host
    from hpcgan.training.plan import Plan
    from hpcgan.training.stop import Request

_FORGETS = 0.5  # of the seconds of a crew without members: some time it gets one again


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
        Diverged: all members have (on all ranks).
        Stopped: somebody asked for it; each member goes on where it was (on all ranks).
    """
    with opened(world, config, run_dir, resume, allow_change, request) as population:
        population.train_to(config.train.steps, is_last=True)
    if world.is_root:
        last = config.parallel.population - 1
        print(f"hpcgan: all members have finished: {run_dir}/member_0 to member_{last}", flush=True)


@contextmanager
def opened(
    world: World,
    config: Config,
    run_dir: Path,
    resume: str,
    allow_change: bool,
    request: Request,
) -> Iterator[Population]:
    """Give a population that is ready for its next steps. All ranks must enter and leave it.

    The arguments are those of ``train``; members that are not at their last step when it is left
    are closed where they are.
    """
    world.all_or_raise(lambda: check(config, world.size, resume))
    with directory.held_population(world, config, run_dir, resume, allow_change) as commit:
        has_tournaments, source = config.tournament.every is not None, None
        if has_tournaments and config.tournament.judge == "frechet":
            source = open_judging(world, config, "members are judged")
        world.all_or_raise(lambda: prepare_tensorflow(world))  # after all that is told at once
        from hpcgan.ring import Ring
        from hpcgan.training.contest import Contest
        from hpcgan.training.heartbeat import Heartbeat
        from hpcgan.training.hosting import Host

        every = list(crews(config.parallel.population, world.size))
        (own,) = (crew for crew in every if world.rank in crew.ranks)
        if world.is_root:
            print(population_lines.opening(config, every, commit), flush=True)
        part = world.part(own.number)
        if any(len(crew.ranks) > 1 for crew in every):
            Ring(world, [part])  # Horovod makes all groups when it starts
        heartbeat = Heartbeat(world, config.run.stall_seconds, request)
        with heartbeat.beating():
            host = Host(part, config, run_dir, allow_change, request, heartbeat)
            contest = Contest(world, host, config, source) if has_tournaments else None
            places = [list(crew.members) for crew in every]
            population = Population(
                world, config, run_dir, host, places, own, contest, request, commit
            )
            try:
                yield population
            except UserError as error:
                if error.on_all_ranks:  # any other ends all ranks at once, with their threads
                    host.close()
                raise
            for number in list(host.members):
                host.leave(number)
            host.close()


class Population:
    """A population as one of the ranks sees it. All ranks must call its methods together."""

    def __init__(
        self,
        world: World,
        config: Config,
        run_dir: Path,
        host: Host,
        places: list[list[int]],
        own: Crew,
        contest: Contest | None,
        request: Request,
        commit: Commit,
    ) -> None:
        """Prepare the training.

        Args:
            world: all ranks.
            config: of the population.
            run_dir: of the population.
            host: of this rank's members.
            places: the members of each crew at first.
            own: that of this rank.
            contest: judges the members, if there are tournaments.
            request: becomes true when this rank is asked to stop.
            commit: from which it goes on.
        """
        self._commit = commit
        self._world, self._config, self._run_dir = world, config, run_dir
        self._host, self._contest, self._request = host, contest, request
        self._crew = own.number
        self._members = places  # of each crew, now
        self._seconds = [1.0] * len(places)  # that each crew needs for a member in a round

    def train_to(self, last: int, is_last: bool = False) -> None:
        """Train to a step, with a tournament after each round; ``is_last`` if it is the run's."""
        every = self._config.tournament.every
        while end := tournament.step_of_next(self._commit.step, every, last):
            self._train_to(end)
            self._commit = self._hold(end)
            self._rebalance()
        self._train_to(last, is_last)

    def each_member(self, of_member: Callable[[World, Plan, State], object]) -> list[Any]:
        """Return what each member has, on all ranks; None of one that has diverged.

        ``of_member`` gets the ranks that train a member, which all call it, its plan and its state.
        """

        def found(number: int) -> object:
            member = self._host.members[number]
            if member.has_diverged:
                return None
            return of_member(self._host.part, member.plan, self._host.enter(number)[1])

        return self._host.everyone(self._world, found)

    # --- a round -------------------------------------------------------------------------------

    def _train_to(self, end: int, is_last: bool = False) -> None:
        """Train the members of this rank in turn, and wait for all others."""
        failures: list[Failure] = []
        for place, number in enumerate(self._members[self._crew]):
            if place and self._is_asked():
                failures.append(Failure(number, Stopped.status, "stopped before its turn"))
                break
            try:
                self._train_member(number, end, is_last)
            except UserError as error:
                if not error.on_all_ranks:
                    raise  # it ends all ranks, since the others of the crew may wait for this one
                failures.append(Failure(number, error.status, str(error)))
                self._host.leave(number)
                if isinstance(error, Stopped):
                    break
        # Others may take hours longer; those who are done rest, and the heartbeat knows it.
        self._world.wait_asleep()
        part = self._host.part
        found = self._world.gather_json([failures if part.is_root else [], self._request.is_made()])
        failed = [Failure(*each) for own, _ in found for each in own]
        is_stopped = any(asked for _, asked in found) and not is_last
        if failed or is_stopped:
            for number in list(self._host.members):
                self._host.save(number)
                self._host.leave(number, "the population stops")
        raise_failures(failed, self._config.parallel.population)
        if is_stopped:
            raise Stopped(f"stopped after step {end} of all members, before their tournament")

    def _is_asked(self) -> bool:
        """Return whether a rank of this crew was asked to stop. All of them must call it."""
        return any(self._host.part.gather_json(self._request.is_made()))

    def _train_member(self, number: int, end: int, is_last: bool) -> None:
        """Train a member to the end of a round, or of all."""
        host, commit = self._host, self._commit
        if number not in host.members:
            plan = host.admit(number, commit).plan
            if plan.is_finished and is_last and number not in commit.diverged:
                if host.part.is_root:
                    path = plan.found and plan.found.path
                    print(f"{plan.label}finished already: {path}", flush=True)
                host.leave(number)
                return
        host.fit(number, end, is_round=not is_last)
        if is_last:
            host.finish(number)

    # --- between two rounds --------------------------------------------------------------------

    def _hold(self, end: int) -> Commit:
        """Hold the tournament after step ``end``; return the new commit."""
        assert self._contest is not None
        commit = self._commit
        found = self._contest.hold(commit.round + 1)
        if len(found.diverged) == self._config.parallel.population:
            raise Diverged(f"all members have diverged by step {end}", on_all_ranks=True)
        new = Commit(self._config, commit.round + 1, end, tuple(found.diverged))
        line = {
            "round": new.round,
            "step": end,
            "pairs": found.pairs,
            "scores": found.scores,
            "took": [{"member": each.member, "from": each.giver} for each in found.takes],
            "values": found.values,
        }
        # All members' checkpoints are written now; and none is of a later round before the commit.
        self._world.barrier()
        self._world.on_root(lambda: self._write(new, line))
        if self._world.is_root:
            print(population_lines.told(new, found.scores, found.takes, found.diverged), flush=True)
        return new

    def _write(self, commit: Commit, line: dict[str, Any]) -> None:
        """Write what a tournament has come to; rank 0 alone."""
        path = self._run_dir / "tournaments.jsonl"
        lines = [text for text, each in json_lines(path, "round") if each["round"] < commit.round]
        write_whole(path, ("".join(lines) + json.dumps(line) + "\n").encode())
        population_commit.write(self._run_dir, commit)

    def _rebalance(self) -> None:
        """Give members to other crews if some are slower than others."""
        own = self._members[self._crew]
        took = self._host.take_seconds()
        mine = [self._crew, took / len(own)] if own and self._host.part.is_root else None
        self._seconds = [_FORGETS * each for each in self._seconds]
        for found in self._world.gather_json(mine):
            if found:
                self._seconds[found[0]] = found[1]
        before, self._members = self._members, rebalanced(self._members, self._seconds)
        for number in set(own) - set(self._members[self._crew]):
            self._host.leave(number, "other ranks go on with it")
        if before == self._members:
            return
        self._world.barrier()  # their directories are free now
        for number in self._members[self._crew]:
            if number not in self._host.members:
                self._host.admit(number, self._commit)
        if self._world.is_root:
            times = ", ".join(f"{each:.1f}" for each in self._seconds)
            print(
                f"hpcgan: the ranks need {times} s for a member in a round: from now on they train "
                f"members {'; '.join(population_lines.listed(each) for each in self._members)}",
                flush=True,
            )


def raise_failures(failures: list[Failure], members: int) -> None:
    """Raise what has ended members' runs too early, on all ranks."""
    lines = "; ".join(f"member {each.member}: {each.message}" for each in failures)
    statuses = {each.status for each in failures}
    if Stopped.status in statuses:  # those who were stopped can go on, whatever became of others
        raise Stopped(lines)
    if failures:
        kind = ConfigError if statuses == {ConfigError.status} else RunError
        raise kind(f"{len(failures)} of {members} members have failed: {lines}", on_all_ranks=True)
