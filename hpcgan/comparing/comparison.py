"""``hpcgan compare``: the data divided, the pace of each way measured, and all starts made in turn.

Every result is a whole file, so that a comparison that was killed goes on with what is not there
yet; what was being made is made again. Several commands in one directory, as the tasks of a Slurm
array, share the starts: each is made by who holds its directory.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from hpcgan.comparing import kept, report, ways
from hpcgan.comparing.kept import Pace, Place
from hpcgan.comparing.parts import Parts, divided
from hpcgan.comparing.ways import Way
from hpcgan.config import Config
from hpcgan.config_beside import CheckpointConfig, EvaluateConfig, LogConfig
from hpcgan.config_file import to_yaml
from hpcgan.errors import ConfigError, RunError
from hpcgan.files import write_whole, writing
from hpcgan.scaling import launcher, same_data
from hpcgan.scaling.runs import counted, read_json
from hpcgan.scaling.study import order
from hpcgan.training.lock import LOCK, RunLock
from hpcgan.world import World

# Between the seeds of two starts: members of a population have the seeds from its own on.
_APART = 10_000
_PAUSE = 2.0  # seconds between two looks at whether another job has measured a pace
_MANY = 10_000_000  # steps, of which a pace needs a part


def run(world: World, given: Namespace) -> int:
    """Compare, or go on with it; print a line for each start, and the table.

    ``given`` is the command line. Returns 1 if some start has failed, else 0.

    Raises:
        UserError: the comparison is not possible, or the directory holds another one.
    """
    if world.size > 1:
        raise ConfigError("hpcgan compare starts the ranks itself; run it without mpirun or srun")
    every = ways.read(given.ways, given.config, given.overrides)
    ranks = given.ranks or int(os.environ.get("SLURM_NTASKS", len(launcher.core_groups())))
    place = Place(given.out)
    for way in every:  # before anything is made
        kept.read_pace(place.pace(way.name), way.config, ranks, given.rank_seconds)
    same_data.check(world, every[0].config, place.sources)
    parts = divided(world, every[0].config, place.out / "data")
    made = Comparison(place, every, parts, ranks, given.rank_seconds, given.seeds)
    for way in every:
        print(made.measure_pace(way), flush=True)
    failed = made.make_starts()
    report.write(place, every, made.seeds, ranks)
    return 1 if failed else 0


@dataclass(frozen=True)
class Comparison:
    """A comparison under way.

    Attributes:
        place: its directory.
        ways: what is compared.
        parts: of the data.
        ranks: of each start.
        rank_seconds: that a start may cost.
        starts: of each way.
    """

    place: Place
    ways: Sequence[Way]
    parts: Parts
    ranks: int
    rank_seconds: float
    starts: int

    @property
    def seeds(self) -> list[int]:
        """The seed of each start of a way."""
        return [self.ways[0].config.seed + _APART * number for number in range(self.starts)]

    def measure_pace(self, way: Way) -> str:
        """Measure how many steps a way makes, if nobody has; return a line about it.

        Raises:
            ConfigError: the way is not possible with these data and ranks.
            RunError: it could not be measured.
        """
        path = self.place.pace(way.name)
        given = path, way.config, self.ranks, self.rank_seconds
        while (pace := kept.read_pace(*given)) is None:
            with working(self.place.work(path)) as work:
                if work is None:  # another job measures it
                    time.sleep(_PAUSE)
                elif not path.exists():
                    self._measure_pace(way, work)
        return (
            f"{way.name}: {pace.steps} steps of {1e3 * pace.step_seconds:.3g} ms are "
            f"{self.rank_seconds:g} rank-seconds of {counted(self.ranks)}"
        )

    def _measure_pace(self, way: Way, work: Path) -> None:
        """Measure the pace of a way in ``work``, and keep it."""
        config = complete(way.config, self.parts, way.config.seed, _MANY)
        found, out = self.rank_seconds / self.ranks, work / "pace.json"
        status, line = self._run(config, work, out, "pace", found)
        if status:
            kind = ConfigError if status == ConfigError.status else RunError
            raise kind(f"way '{way.name}': {line}")
        measured = read_json(out, "measured pace", dict, "move it away")
        own = to_yaml(way.config), self.ranks, self.rank_seconds
        kept.write(self.place.pace(way.name), Pace(*own, **measured))

    def make_starts(self) -> int:
        """Make all starts that are not there and that nobody else makes; return how many failed.

        They come in turn: all ways with a seed, and with the next one backwards.
        """
        turns = list(order(range(len(self.ways)), self.starts))
        left = {(self.ways[way].name, number): self.ways[way] for number, way in turns}
        failed = 0
        while left:
            before = len(left)
            for (name, number), way in list(left.items()):
                path = self.place.start(name, self.seeds[number])
                with working(self.place.work(path)) as work:
                    if work is None:
                        continue
                    del left[name, number]
                    if not path.exists():
                        failed += self._make_start(way, number, work, path)
            if len(left) == before:
                those = "1 start is" if before == 1 else f"{before} starts are"
                print(f"{those} being made by others in {self.place.out}", flush=True)
                break
        return failed

    def _make_start(self, way: Way, number: int, work: Path, path: Path) -> bool:
        """Make a start in ``work``; print a line about it, and return whether it failed."""
        seed = self.seeds[number]
        pace = kept.read_pace(self.place.pace(way.name), way.config, self.ranks, self.rank_seconds)
        assert pace is not None
        config = complete(way.config, self.parts, seed, pace.steps)
        if config.parallel.mode == "split":  # else each start would divide the ranks by its timing
            config = replace(
                config, parallel=replace(config.parallel, generator_ranks=pace.generator_ranks)
            )
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        status, line = self._run(config, work, path.absolute(), "points", pace.steps)
        if status:
            line = f"failed with status {status}: {line}"
        else:
            line = describe(path)
            report.keep(self.place, self.ways, self.seeds, self.ranks)
        print(f"{way.name}, {number + 1} of {self.starts}: {line}", flush=True)
        return status != 0

    def _run(
        self, config: Config, work: Path, out: Path, what: str, amount: float
    ) -> tuple[int, str]:
        """Start the ranks of ``start_run``; return their status and their last line.

        Where they fail with a bug all that they printed stays beside ``out``.
        """
        path = work / "config.yaml"
        with writing(path):
            path.write_text(to_yaml(config), encoding="utf-8")
        words = [str(path), self.parts.report, str(out), what, str(amount)]
        program = [sys.executable, "-m", "hpcgan.comparing.start_run", *words]
        status, output = launcher.run(self.ranks, self.ranks, program)
        status = status or int(not out.exists())
        if not status or "Traceback" not in output:
            return status, launcher.last_line(output)
        log = self.place.out / f"{work.name}.log"
        write_whole(log, output.encode())
        return status, f"{launcher.last_line(output).rstrip(':')}; see {log}"


@contextmanager
def working(place: Path) -> Iterator[Path | None]:
    """Hold a directory to work in, which is deleted afterwards; give None if another holds it."""
    lock = RunLock(place)
    if not lock.try_take():
        yield None
        return
    try:
        yield place
    finally:
        for each in place.iterdir():
            if each.is_dir():
                shutil.rmtree(each, ignore_errors=True)
            elif each.name != LOCK:
                each.unlink(missing_ok=True)
        lock.release()


def complete(config: Config, parts: Parts, seed: int, steps: int) -> Config:
    """Return the configuration of a start: with the parts of the data, and nothing beside training.

    It has one step more than are made: what a run does after its last one, its samples and its
    checkpoint, is no training.
    """
    judged = config.tournament
    if judged.every is not None and judged.judge == "frechet":
        judged = replace(judged, data=[parts.judge])
    return replace(
        config,
        seed=seed,
        data=replace(config.data, files=parts.train),
        train=replace(config.train, steps=steps + 1),
        tournament=judged,
        checkpoint=CheckpointConfig(every_steps=None),
        log=LogConfig(every_steps=_MANY),
        run=replace(config.run, time_limit=None, restarts=0),
        watch=replace(config.watch, collapse=None),
        evaluate=EvaluateConfig(every_steps=None, held_out=[parts.judge]),
    )


def describe(path: Path) -> str:
    """Return a line about what a start found."""
    start = kept.read_start(path)
    if start.ended:
        return f"ended early: {start.ended}"
    last = start.points[-1]
    value = "not finite" if last.frechet is None else f"{last.frechet:.4g}"
    return (
        f"Fréchet distance {value} (floor {start.floor:.3g}) after {last.images} images and "
        f"{last.rank_seconds:.1f} rank-seconds"
    )
