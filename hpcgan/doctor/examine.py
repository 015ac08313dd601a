"""The doctor's way through its checks, on all ranks together.

    everybody answers -> rank 0 says what to look at -> facts of each rank -> exchange, timed
    -> rank 0 judges, prints and tells the status

Every exchange has a deadline. Who does not come is named, what has been found so far is printed,
and all ranks end with status 1.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from hpcgan import errors, launch
from hpcgan.deadline import Deadline
from hpcgan.doctor import data, network, placement, slurm, software, space
from hpcgan.doctor.findings import Finding, as_json, as_text, failed, listed, worst
from hpcgan.ending import last_resort
from hpcgan.errors import ConfigError, UserError
from hpcgan.world import World

# Tags of the exchanges, each used once; the links' last.
_ANSWER, _WANTED, _FACTS, _NODES, _MEASURED, _ROLL_CALL, _STATUS, _LINKS = range(1, 9)
_IN_EXCHANGE = "did not come back from the exchange"
_ROUNDS = 16  # of waiting, more than a rank can come to


@dataclass(frozen=True)
class Run:
    """The run that is meant, as the command line has it.

    Attributes:
        config: its YAML file, or None if there is no run yet.
        overrides: ``--section.key VALUE`` words.
        run_dir: where it writes; None for runs/NAME.
    """

    config: str | None
    overrides: list[str]
    run_dir: Path | None

    def wanted(self) -> data.Wanted:
        """Return what it would read and write.

        Raises:
            UserError: the configuration is wrong, or a pattern fits no file.
        """
        if self.config is None:
            if self.overrides:
                raise ConfigError(
                    f"unrecognized arguments: {' '.join(self.overrides)}; see hpcgan doctor --help"
                )
            return data.Wanted([], None, str(self.run_dir or Path.cwd()))
        from hpcgan.config_file import load
        from hpcgan.data.source import list_files
        from hpcgan.files import expanded

        read = load(self.config, self.overrides)
        run_dir = self.run_dir or Path("runs") / read.name
        stage = expanded(read.data.stage) if read.data.stage else None
        return data.Wanted(list_files(read.data.files), stage, str(run_dir))


def examine(world: World, run: Run, seconds: float, is_json: bool) -> int:
    """Look at everything, print it on rank 0 and return the exit status. All ranks call it.

    Args:
        world: the ranks.
        run: for which to look.
        seconds: to wait for a rank.
        is_json: whether to print an object instead of lines.

    Raises:
        UserError: the configuration is wrong; the same on all ranks.
    """
    with last_resort(_ROUNDS * seconds):
        return _Examination(world, seconds, is_json).make(run)


class _Examination:
    """One rank's part of it."""

    def __init__(self, world: World, seconds: float, is_json: bool) -> None:
        self._world = world
        self._ranks: Deadline = world.with_deadline()
        self._seconds = seconds
        self._is_json = is_json
        self._findings: list[Finding] = []

    def make(self, run: Run) -> int:
        """Make it and return the exit status."""
        world = self._world
        if launch.problem(world.size, os.environ):
            return self._make_alone(run)
        hosts = self._gather(world.host, _ANSWER, self._seconds, "did not answer")
        wanted = self._agree(run)
        self._examine_ranks(hosts, wanted)
        if world.size > 1:
            self._examine_network(hosts)
        return self._end()

    def _make_alone(self, run: Run) -> int:
        """Look at this process alone, of several that MPI takes for one rank each; one speaks."""
        if launch.number(os.environ):
            return 1
        wanted = run.wanted()
        facts = self._facts(wanted)
        self._judge([facts], wanted)
        self._print()
        return 1

    def _agree(self, run: Run) -> data.Wanted:
        """Return what rank 0 reads in the configuration."""
        sent: Any = None
        if self._world.is_root:
            try:
                sent = {"wanted": asdict(run.wanted())}
            except UserError as error:
                sent = {"kind": type(error).__name__, "message": str(error)}
        got = self._tell(sent, _WANTED, 2 * self._seconds)
        if "message" in got:
            wrong: UserError = getattr(errors, got["kind"])(got["message"])
            wrong.on_all_ranks = True
            raise wrong
        return data.Wanted(**got["wanted"])

    def _examine_ranks(self, hosts: list[str], wanted: data.Wanted) -> None:
        """Have each rank look at itself and its node; judge on rank 0."""
        facts = self._facts(wanted)
        every = self._gather(
            facts, _FACTS, self._seconds, "did not come back from a look at the node", hosts
        )
        if self._world.is_root:
            self._judge(every, wanted)

    def _facts(self, wanted: data.Wanted) -> dict[str, Any]:
        """Return this rank's facts, as JSON can hold them."""
        seen, room = data.gather(self._world, wanted), space.gather(self._world, wanted)
        return {
            "software": asdict(software.gather(self._world)),
            "placement": asdict(placement.gather(self._world)),
            "data": asdict(seen) if seen else None,
            "space": asdict(room) if room else None,
        }

    def _judge(self, every: list[dict[str, Any]], wanted: data.Wanted) -> None:
        """Judge the facts of all ranks, and those of the job."""
        places = [placement.Placement(**each["placement"]) for each in every]
        self._findings += placement.judge(places, os.environ)
        self._findings += software.judge([software.read(each["software"]) for each in every])
        seen = [data.read(each["data"]) for each in every if each["data"]]
        room = [space.read(each["space"]) for each in every if each["space"]]
        self._findings += data.judge(seen, wanted)
        self._findings += space.judge(room, wanted, seen[0].total)
        self._findings += slurm.judge(slurm.gather(), not launch.is_by_srun(os.environ))

    def _examine_network(self, hosts: list[str]) -> None:
        """Have the ranks exchange; judge on rank 0."""
        world = self._world
        places = self._gather(
            [world.node_ranks[0], world.host], _NODES, self._seconds, "did not answer"
        )
        firsts = sorted({(first, host) for first, host in places}) if world.is_root else []
        nodes = [(first, host) for first, host in self._tell(firsts, _NODES, 3 * self._seconds)]
        try:
            own = network.gather(world, self._ranks, nodes, self._seconds, _LINKS)
        except network.Late:
            self._call_roll(hosts)
        # A link that is too slow is given up late, and not by all ranks.
        every = self._gather(asdict(own), _MEASURED, 2 * self._seconds, _IN_EXCHANGE, hosts)
        if world.is_root:
            measured = [network.read(each) for each in every]
            self._findings += network.judge(measured, len(nodes))

    def _call_roll(self, hosts: list[str]) -> NoReturn:
        """Name who has not come back from an all-reduce, and end all ranks.

        All ranks that have waited for it in vain call it.
        """
        self._gather("here", _ROLL_CALL, 2.0 + 0.1 * self._seconds, _IN_EXCHANGE, hosts)
        if self._world.is_root:  # all answer, so it is the way between them
            self._give_up(
                failed(
                    "all-reduce",
                    f"did not end within {self._seconds:g} s, though all ranks are there",
                    "MPI does not get through between some nodes: try OMPI_MCA_pml=ob1 "
                    "OMPI_MCA_btl=tcp,self,sm, and OMPI_MCA_btl_tcp_if_include",
                )
            )
        # Rank 0 ends all meanwhile; it may have had its sums, and wait for those of others until
        # the links' time is over, and as long again as a rank may take to come back.
        self._tell(None, _ROLL_CALL, 4 * self._seconds)
        raise AssertionError

    def _end(self) -> int:
        """Print, and return the status that all ranks end with."""
        status = 1 if worst(self._findings) == "failed" else 0
        if self._world.is_root:
            self._print()
        return int(self._tell([status], _STATUS, 4 * self._seconds)[0])

    # --- exchanges, or the end -----------------------------------------------------------------

    def _gather(
        self, value: Any, tag: int, seconds: float, how: str, hosts: list[str] | None = None
    ) -> list[Any]:
        """Return on rank 0 all ranks' values, or name who did not send one and end all ranks.

        Args:
            value: this rank's.
            tag: of the exchange.
            seconds: to wait.
            how: the missing ranks failed, as "did not answer".
            hosts: of the ranks, if they are known.
        """
        values = self._ranks.gather(value, seconds, tag)
        missing = [rank for rank, each in enumerate(values) if each is None]
        if missing:
            names = [f"{rank} on {hosts[rank]}" if hosts else str(rank) for rank in missing]
            who = f"rank{'s' * (len(missing) > 1)} {listed(names)} of {self._world.size}"
            self._give_up(
                failed(
                    "ranks",
                    f"{who} {how} within {seconds:g} s",
                    "look there: a process that is stopped, a file system that hangs (ps shows D), "
                    "a node that is overloaded; or leave the node out (--exclude)",
                )
            )
        return values

    def _tell(self, value: Any, tag: int, seconds: float) -> Any:
        """Return rank 0's value; end all ranks if rank 0 does not send it.

        Args:
            value: rank 0's.
            tag: of the exchange.
            seconds: to wait, more than rank 0 may wait for others before it sends.
        """
        got = self._ranks.broadcast(value, seconds, tag)
        if got is None:
            time.sleep(0.2 * (self._world.rank - 1))  # the first one speaks, and ends the others
            self._give_up(
                failed(
                    "ranks",
                    f"rank 0 of {self._world.size} did not answer within {seconds:g} s",
                    "look at the first node of the job",
                )
            )
        return got

    def _give_up(self, finding: Finding) -> NoReturn:
        """Print what is known and end all ranks."""
        self._findings.append(finding)
        self._world.abort(1, self._text(), sys.stdout.fileno())

    def _print(self) -> None:
        sys.stdout.write(self._text())
        sys.stdout.flush()

    def _text(self) -> str:
        shown = as_json if self._is_json else as_text
        return shown(self._findings) + "\n"
