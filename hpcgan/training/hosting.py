"""The members of a population that some ranks train: in turn, on one compiled training step.

    variables of the networks   <-- take --   member 1's state    rests in memory
    the compiled step            -- copy -->  member 4's state    rests in memory

A member whose turn it is has its state in the variables; where there is only one, nothing is
copied.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from hpcgan import checkpoint, varied
from hpcgan.config import Config
from hpcgan.data.placement import Shard, opened_shards
from hpcgan.errors import Diverged
from hpcgan.gan.state import Groups, Snapshot, State
from hpcgan.population_commit import Commit, member_directory
from hpcgan.training import directory, members
from hpcgan.training.heartbeat import Heartbeat
from hpcgan.training.plan import Plan
from hpcgan.training.run import Compiled, Run, compile_step
from hpcgan.training.stop import Request
from hpcgan.world import World


class TurnClock:
    """Seconds of a member's run, which pass while it has its turn."""

    def __init__(self) -> None:
        """Begin at 0, without a turn."""
        self._before = 0.0
        self._began: float | None = None

    def __call__(self) -> float:
        """Return the seconds."""
        return self._before + (time.monotonic() - self._began if self._began else 0.0)

    def go(self) -> None:
        """Begin a turn."""
        self._began = time.monotonic()

    def stop(self) -> None:
        """End the turn."""
        self._before, self._began = self(), None


@dataclass
class Member:
    """A member that is trained here.

    Attributes:
        plan: of its run.
        held: its directory, until it is closed.
        clock: of its turns.
        run: its run, once it has had its first turn.
        resting: its state while another has its turn.
        has_diverged: whether its numbers are no longer finite.
    """

    plan: Plan
    held: ExitStack
    clock: TurnClock = field(default_factory=TurnClock)
    run: Run | None = None
    resting: Snapshot | None = None
    has_diverged: bool = False


class Host:
    """The members of some ranks.

    All methods are for all of these ranks, which must call them in the same order.

    Attributes:
        members: those that are open, by number.
    """

    def __init__(
        self,
        part: World,
        config: Config,
        run_dir: Path,
        allow_change: bool,
        request: Request,
        heartbeat: Heartbeat,
    ) -> None:
        """Begin without members.

        Args:
            part: the ranks.
            config: of the population.
            run_dir: of the population.
            allow_change: as for ``plan.decide``.
            request: becomes true when this rank is asked to stop.
            heartbeat: of all ranks, is told of each call.
        """
        self.part = part
        self.members: dict[int, Member] = {}
        self._config, self._run_dir, self._allow_change = config, run_dir, allow_change
        self._request, self._heartbeat = request, heartbeat
        self._compiled: Compiled | None = None
        self._seconds = 0.0
        self._inside: int | None = None  # whose state is in the variables
        # By the part of the data that a member has: who came first, and what all such have.
        self._data: dict[int, tuple[Plan, Callable[[int], dict[int, Shard]]]] = {}
        self._opened = ExitStack()

    def admit(self, number: int, commit: Commit) -> Member:
        """Hold a member's directory and find where it goes on, as of a commit."""
        config = members.config_of(self._config, number)
        place = member_directory(self._run_dir, number)
        part = config.data.part[0] if config.data.part else 0
        like = self._data[part][0] if part in self._data else None
        with ExitStack() as stack:
            held = directory.held(
                self.part,
                config,
                place,
                "auto",
                self._allow_change,
                environment={},  # what Slurm does to the job is the population's
                rounds=commit.round,
                like=like,
            )
            plan = replace(stack.enter_context(held), label=f"member {number}: ")
            member = Member(plan, stack.pop_all(), has_diverged=number in commit.diverged)
        if part not in self._data:
            own = plan.config, plan.source, plan.assignment
            shards = self._opened.enter_context(opened_shards(self.part, *own))
            self._data[part] = plan, shards
        self.members[number] = member
        return member

    def enter(self, number: int) -> tuple[Run, State]:
        """Give a member its turn; return its run, and the state that is now its own."""
        member = self.members[number]
        if self._compiled is None:
            self._compiled = self._compile(member.plan)
        if self._inside != number:
            self.rest()
            self._restore(member, self._compiled.state)
            self._inside = number
            member.clock.go()
            self._compiled.strategy.refresh(member.plan.config)
        if member.run is None:
            member.run = self._run(number, self._compiled)
        return member.run, self._compiled.state

    def rest(self) -> None:
        """End the turn of the member that has it, if there is one: its state is in memory then."""
        if self._inside is None or self._compiled is None:
            return
        member, self._inside = self.members[self._inside], None
        member.resting = self._compiled.state.snapshot()
        member.clock.stop()

    def resting(self, number: int, is_wanted: Callable[[str], bool]) -> Groups:
        """Return some groups of variables of a member that rests."""
        snapshot = self.members[number].resting
        assert snapshot is not None
        return {name: own for name, own in snapshot.groups.items() if is_wanted(name)}

    def everyone(self, world: World, of_member: Callable[[int], object]) -> list:
        """Return what each member has, on all ranks of the ``world``, which must all call it.

        ``of_member`` is called where a member is trained; it may be a collective of the ranks that
        train it together.
        """
        own = {str(member): of_member(member) for member in sorted(self.members)}
        found: dict[str, object] = {}
        for each in world.gather_json(own):
            found |= each
        return [found[str(member)] for member in range(len(found))]

    def values(self, number: int) -> dict[str, float]:
        """Return what a member has of the keys of ``population.vary``."""
        resting = self.members[number].resting
        values = varied.values(self._config, number)
        if resting:
            return {**values, **resting.values}
        _, state = self.enter(number)
        return {**values, **state.values}

    def take_seconds(self) -> float:
        """Return the seconds that were trained for since the last time this was asked."""
        found, self._seconds = self._seconds, 0.0
        return found

    def fit(self, number: int, last: int, is_round: bool) -> None:
        """Train a member to step ``last``; one that diverges waits there, at the end of a round.

        Raises:
            Diverged: it has, and no tournament follows in which it could take from others.
            UserError: as ``Run.fit``.
        """
        run, state = self.enter(number)
        member, began = self.members[number], time.monotonic()
        try:
            if not member.has_diverged:
                run.fit(last)
            elif not is_round:
                raise Diverged("it has diverged, and no tournament follows", on_all_ranks=True)
        except Diverged as error:
            if not is_round:
                raise
            member.has_diverged = True
            run.note("diverged", why=str(error))
            if self.part.is_root:
                told = f"{member.plan.label}hpcgan: warning: {error}; it waits for the tournament"
                print(told, flush=True)
        state.step = last
        self._seconds += time.monotonic() - began

    def save(self, number: int, is_new: bool = False) -> None:
        """Write a member's checkpoint, if its state ``is_new`` or there is none of its step."""
        run, state = self.enter(number)
        path = checkpoint.path_of(self.members[number].plan.checkpoints, state.step)
        if is_new or not self.part.on_root(path.exists):
            run.save()

    def leave(self, number: int, why: str = "") -> None:
        """Close a member before its last step; ``why`` if its run goes on to here."""
        member = self.members.pop(number, None)
        if member is None:  # it could not be opened
            return
        if self._inside == number:
            self._inside = None
        if member.run:
            member.run.leave(why)
        member.held.close()

    def finish(self, number: int) -> None:
        """Close a member after its last step."""
        run, _ = self.enter(number)
        run.close()
        self._inside = None
        self.members.pop(number).held.close()

    def close(self) -> None:
        """Close the data; no member is open any more."""
        self._opened.close()

    def _compile(self, plan: Plan) -> Compiled:
        """Return networks with a training step that serves all members."""
        config = plan.config
        # What is 0 in one member and not in another has to be in the step.
        for key in self._config.population.vary:
            every = (
                varied.values(self._config, number)[key]
                for number in range(self._config.parallel.population)
            )
            config = varied.with_value(config, key, max(every))
        state = self.part.all_or_raise(lambda: State(plan.config, plan.source.sample_shape))
        return compile_step(self.part, config, state, plan.source.dtype)

    def _restore(self, member: Member, state: State) -> None:
        """Put a member's state into the variables."""
        plan = member.plan
        if member.resting:
            state.take(member.resting)
            member.resting = None
            return
        if plan.found is None:
            new = self.part.all_or_raise(lambda: State(plan.config, plan.source.sample_shape))
            state.take(new.snapshot())
        checkpoint.restore(self.part, state, plan.found)
        if plan.found:
            plan.found.groups.clear()  # rank 0 would hold the state twice to the end

    def _run(self, number: int, compiled: Compiled) -> Run:
        """Begin the run of a member whose turn it is."""
        member = self.members[number]
        plan = member.plan
        part = plan.config.data.part[0] if plan.config.data.part else 0
        shards = self._data[part][1](plan.config.seed)
        run = Run(self.part, plan, compiled, shards, self._request, self._heartbeat, member.clock)
        if self.part.is_root and self._config.population.vary:
            values = {**varied.values(self._config, number), **compiled.state.values}
            print(plan.label + ", ".join(f"{key} {v:.4g}" for key, v in values.items()), flush=True)
        return run
