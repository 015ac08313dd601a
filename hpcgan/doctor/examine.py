"""The doctor's way through its checks, on all ranks together.

    rank 0 reads the configuration -> facts of each rank -> exchange, timed
    -> rank 0 evaluates and prints -> all end with its status

Every exchange has a deadline. Who does not come is named, what has been found so far is printed,
and all ranks end with status 1.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, NoReturn

from hpcgan import errors, launch
from hpcgan.deadline import Deadline
from hpcgan.doctor import network, placement, slurm, software, storage
from hpcgan.doctor.findings import Findings, as_json, as_text, failed, listed, worst
from hpcgan.doctor.storage import RunPaths
from hpcgan.ending import last_resort
from hpcgan.errors import UserError
from hpcgan.world import World

# Tags of the exchanges, each used once; the links' last.
_PATHS, _FACTS, _MEASURED, _STATUS, _LINKS = range(1, 6)


def examine(world: World, read: Callable[[], RunPaths], seconds: float, is_json: bool) -> int:
    """Look at everything, print it on rank 0 and return the exit status. All ranks call it.

    ``read`` returns what the run would read and write, and is called by rank 0 alone; ``seconds``
    are those to wait for a rank; with ``is_json`` it prints an object instead of lines.

    Raises:
        UserError: the configuration is wrong; the same on all ranks.
    """
    with last_resort(16 * seconds):  # more than all waits of a rank together
        return _Examination(world, seconds, is_json).make(read)


class _Examination:
    """One rank's part of it."""

    def __init__(self, world: World, seconds: float, is_json: bool) -> None:
        self._world = world
        self._ranks: Deadline = world.with_deadline()
        self._seconds = seconds
        self._is_json = is_json
        self._findings: Findings = {}

    def make(self, read: Callable[[], RunPaths]) -> int:
        """Make it and return the exit status."""
        if launch.problem(self._world.size, os.environ):
            return self._make_alone(read)
        paths = self._agree(read)
        every = self._gather(self._facts(paths), _FACTS, self._seconds, "a look at its node")
        if self._world.is_root:
            self._evaluate(every, paths)
        if self._world.size > 1:
            self._examine_network()
        status = 1 if worst(self._findings) == "failed" else 0
        if self._world.is_root:
            print(self._text(), flush=True)
        return int(self._broadcast([status], _STATUS, 4 * self._seconds)[0])

    def _make_alone(self, read: Callable[[], RunPaths]) -> int:
        """Look at this process alone, of several that MPI takes for one rank each; one prints."""
        if not launch.number(os.environ):
            paths = read()
            self._evaluate([self._facts(paths)], paths)
            print(self._text(), flush=True)
        return 1

    def _agree(self, read: Callable[[], RunPaths]) -> RunPaths:
        """Return what rank 0 reads in the configuration."""
        sent: Any = None
        if self._world.is_root:
            try:
                sent = {"paths": asdict(read())}
            except UserError as error:
                sent = {"kind": type(error).__name__, "message": str(error)}
        got = self._broadcast(sent, _PATHS, 2 * self._seconds)
        if "message" in got:
            wrong: UserError = getattr(errors, got["kind"])(got["message"], on_all_ranks=True)
            raise wrong
        return RunPaths(**got["paths"])

    def _facts(self, paths: RunPaths) -> dict[str, Any]:
        """Return this rank's facts, as JSON can hold them."""
        seen = storage.gather(self._world, paths)
        return {
            "software": asdict(software.gather(self._world)),
            "placement": asdict(placement.gather(self._world)),
            "storage": asdict(seen) if seen else None,
        }

    def _evaluate(self, every: list[dict[str, Any]], paths: RunPaths) -> None:
        """Evaluate the facts of all ranks, and those of the job."""
        places = [placement.Placement(**each["placement"]) for each in every]
        nodes = [storage.Storage(**each["storage"]) for each in every if each["storage"]]
        programs = [software.Software(**each["software"]) for each in every]
        self._findings |= placement.evaluate(places, os.environ) | software.evaluate(programs)
        self._findings |= storage.evaluate(nodes, paths)
        self._findings |= slurm.evaluate(slurm.gather(), not launch.is_by_srun(os.environ))

    def _examine_network(self) -> None:
        """Have the ranks exchange; evaluate on rank 0."""
        own = network.gather(self._world, self._ranks, self._seconds, _LINKS)
        # A link that is too slow is given up late, and not by all ranks.
        every = self._gather(asdict(own), _MEASURED, 2 * self._seconds, "the exchange")
        if not self._world.is_root:
            return
        measured = [network.Network(**each) for each in every]
        self._findings |= network.evaluate(measured, len(set(self._world.hosts)))
        if any(each.sums == "late" for each in measured):  # MPI may hang as it ends, too
            self._give_up()

    # --- exchanges, or the end -----------------------------------------------------------------

    def _gather(self, value: Any, tag: int, seconds: float, what: str) -> list[Any]:
        """Return on rank 0 all ranks' values, or name who did not come from ``what`` and end."""
        values = self._ranks.gather(value, seconds, tag)
        missing = [rank for rank, each in enumerate(values) if each is None]
        if missing:
            names = listed(f"{rank} on {self._world.hosts[rank]}" for rank in missing)
            self._give_up(
                f"rank{'s' * (len(missing) > 1)} {names} of {self._world.size} did not come back "
                f"from {what} within {seconds:g} s",
                "look there: a process that is stopped, a file system that hangs (ps shows D), "
                "a node that is overloaded; or leave the node out (--exclude)",
            )
        return values

    def _broadcast(self, value: Any, tag: int, seconds: float) -> Any:
        """Return rank 0's value; end all ranks if rank 0 does not send it.

        The seconds must be more than rank 0 may wait for others before it sends.
        """
        got = self._ranks.broadcast(value, seconds, tag)
        if got is None:
            time.sleep(0.2 * (self._world.rank - 1))  # the first one prints, and ends the others
            self._give_up(
                f"rank 0 of {self._world.size} did not answer within {seconds:g} s",
                "look at the first node of the job",
            )
        return got

    def _give_up(self, missing: str = "", advice: str = "") -> NoReturn:
        """Print what is known, and which ranks are missing, and end all ranks."""
        if missing:
            self._findings["ranks"] = failed(missing, advice)
        self._world.abort(1, f"{self._text()}\n", sys.stdout.fileno())

    def _text(self) -> str:
        return as_json(self._findings) if self._is_json else as_text(self._findings)
