"""Measure a way's pace, or train it with one seed: what ``hpcgan compare`` starts on all ranks.

    mpirun -n 4 python -m hpcgan.comparing.start_run CONFIG.yaml REPORT.h5 OUT.json pace SECONDS
    mpirun -n 4 python -m hpcgan.comparing.start_run CONFIG.yaml REPORT.h5 OUT.json points STEPS

CONFIG.yaml is complete: data, seed, all. Time is counted while all ranks train, from the moment
when they have all begun until the last is done: so with the rounds of a population, what judges
inside it, and ranks that wait. It stands while samples are evaluated for the report. The first
steps, in which networks are compiled, count as much as the ones after them.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from hpcgan import command
from hpcgan.comparing import kept, subject
from hpcgan.comparing.kept import Point, Start
from hpcgan.comparing.subject import Judges, Scores, Subject
from hpcgan.config import Config
from hpcgan.config_file import from_yaml, load, to_yaml
from hpcgan.data.held_out import open_held_out
from hpcgan.data.source import open_source
from hpcgan.errors import Diverged
from hpcgan.evaluation.judging import FrechetJudge, open_judging
from hpcgan.world import World

POINTS = 8  # of a start
COMPILED = 3  # steps at the beginning that are not timed: compilation is in them
_PART = 0.1  # of a start's time, in which the pace is measured at least


def main() -> int:
    """Run the program on all ranks; return its exit status."""
    return command.run("hpcgan compare", lambda: parse(sys.argv[1:]))


def parse(words: list[str]) -> argparse.Namespace:
    """Return the parsed command line, whose ``run`` all ranks must call."""
    parser = command.Parser("hpcgan compare", allow_abbrev=False)
    parser.add_argument("config", type=Path)
    parser.add_argument("report")
    parser.add_argument("out", type=Path)
    parser.add_argument("what", choices=("pace", "points"))
    parser.add_argument("amount", type=float)
    arguments = parser.parse_args(words)
    arguments.run = run
    return arguments


def run(world: World, given: argparse.Namespace) -> None:
    """Do what the command line asks for. All ranks must call it."""
    config = from_yaml(world.on_root(lambda: to_yaml(load(given.config))), str(given.config))
    with subject.opened(world, config, given.config.parent / "run") as trained:
        if given.what == "pace":
            found: dict[str, Any] = measure_pace(world, trained, config, given.amount)
            found["oversubscribed"] = world.shares_cores
            world.on_root(lambda: kept.write(given.out, found))
        else:
            start = train(world, trained, config, given.report, int(given.amount))
            world.on_root(lambda: kept.write(given.out, start))


def measure_pace(world: World, trained: Subject, config: Config, seconds: float) -> dict[str, Any]:
    """Return what is measured of a ``Pace``, for starts that take ``seconds``.

    The pace is that of the last piece, the first that is long enough; of whole rounds, if there are
    tournaments and two rounds fit into the time.
    """
    trained.train_to(2 * COMPILED)
    step, more = 3 * COMPILED, COMPILED
    while (took := timed(world, trained, step)) < _PART * seconds:
        more *= 2
        step += more
    every = config.tournament.every
    if every and 2 * every * took / more < seconds:
        first = -(-step // every) * every
        trained.train_to(first)
        more = -(-more // every) * every
        took = timed(world, trained, first + more)
    pace = took / more
    return {
        # The first point has steps that are timed.
        "steps": max(POINTS * (COMPILED + 1), round(seconds / pace)),
        "step_seconds": pace,
        "bytes_per_step": trained.bytes_per_step(),
        "generator_ranks": trained.generator_ranks,
    }


def train(world: World, trained: Subject, config: Config, report: str, steps: int) -> Start:
    """Train for some steps and evaluate on the way. All ranks must call it.

    Raises:
        UserError: the data cannot be read (on all ranks).
    """
    source = open_source(world, config.data)
    judging = open_judging(world, config, "ways are compared")
    reporting = open_held_out(world, config, [report], "the report", source)
    judges = Judges(judging, reporting)
    points: list[Point] = []
    ended, seconds = None, 0.0
    try:
        trained.train_to(COMPILED)
        for end in np.linspace(0, steps, POINTS + 1).round().astype(int).tolist()[1:]:
            took = timed(world, trained, end)
            # The first steps as fast as those that follow them.
            seconds += took if points else took * end / (end - COMPILED)
            best = best_of(trained.scores(judges), config.parallel.population > 1)
            images = end * trained.images_per_step
            points.append(Point(config.seed, world.size * seconds, images, step=end, **best))
    except Diverged as error:
        ended = str(error)
    of_all = FrechetJudge(world, reporting, len(reporting))
    floor = of_all.of_real(judging)
    return Start(points, floor, of_all.features, of_all.count, trained.taken_bytes(), ended)


def best_of(scores: list[Scores | None], is_population: bool) -> dict[str, Any]:
    """Return the attributes of a point that are of the GAN which is best by the judging part."""
    finite = [(own[0], number) for number, own in enumerate(scores) if own and own[0] is not None]
    if not finite:
        return {"frechet": None}
    judged, number = min(finite)
    own = scores[number]
    assert own is not None
    return {
        "frechet": own[1],
        "judged": judged,
        "member": number if is_population else None,
    }


def timed(world: World, trained: Subject, step: int) -> float:
    """Train to a step; return the seconds until the last rank is there. All ranks must call it."""
    world.barrier()
    began = time.perf_counter()
    trained.train_to(step)
    return max(world.gather_json(time.perf_counter() - began))


if __name__ == "__main__":
    sys.exit(main())
