"""``hpcgan scale quality``: how many shards are worth having, and with which learning rates.

    seeds 0 .. K+1    1 shard             the target: what it has reached at the end of its budget
    seeds K, K+1      n shards            with each rule: which one reaches the target first?
    seeds 0 .. K-1    n shards            with that rule, for the figures

How many steps lead to a target follows from the shards, not from the ranks: so each run has one
rank and a core, and as many runs are made at once as there are cores. A study that was stopped goes
on with the same command.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple, get_args

from hpcgan.config_checks import wrong_scaling
from hpcgan.config_file import load, options
from hpcgan.errors import ConfigError, RunError
from hpcgan.gan.scaling_rule import Rule
from hpcgan.scaling import launcher, quality_report, same_data
from hpcgan.scaling.curves import Curve, path_of, read_curves
from hpcgan.scaling.quality_report import CHOOSING
from hpcgan.scaling.quality_summary import best_rules, target_of
from hpcgan.scaling.runs import Start, check_same, read_start
from hpcgan.world import World

_GIVEN = ("data.shards", "optimizer.scaling", "seed")  # by the study itself


class Job(NamedTuple):
    """Runs of one configuration, one after the other in a process."""

    shards: int
    rule: str
    seeds: list[int]
    target: float | None


def run(world: World, given: Namespace) -> int:
    """Make the runs of a study and print what they say; return 1 if some have failed, else 0.

    ``given`` is the command line of ``hpcgan scale quality``.

    Raises:
        ConfigError: the study is not possible, or its directory holds another one.
        RunError: one shard's runs have failed, so that there is no target.
    """
    if world.size > 1:
        raise ConfigError("hpcgan scale starts the ranks itself; run it without mpirun or srun")
    _check(given)
    same_data.check(world, load(given.config, given.overrides), given.out / "sources.json")
    cores = launcher.core_groups()
    evaluated = list(range(given.seeds))
    choosing = list(range(given.seeds, given.seeds + CHOOSING))
    failed = _make(given, _divided(1, "none", evaluated + choosing, None, len(cores)), cores)
    if failed:
        raise RunError("without the runs of one shard there is no target")
    larger = [number for number in given.shards if number > 1]
    target = target_of(read_curves(given.out), choosing)
    jobs = [Job(n, rule, choosing, target) for n in reversed(larger) for rule in rules(given, n)]
    failed = _make(given, jobs, cores)
    chosen = best_rules(read_curves(given.out), choosing)
    target = target_of(read_curves(given.out), evaluated)
    jobs = [
        job
        for number in reversed(larger)
        if number in chosen
        for job in _divided(number, chosen[number], evaluated, target, len(cores))
    ]
    failed += _make(given, jobs, cores)
    written = quality_report.write(given.out)
    print(f"written to {given.out}: {', '.join(written)}")
    return 1 if failed else 0


def _check(given: Namespace) -> None:
    """Refuse what the study sets itself, and another study's directory."""
    for key in options(given.overrides):
        if key in _GIVEN:
            raise ConfigError(f"command line: --{key} has no effect here: the study sets it")
    config = load(given.config, given.overrides)
    if not (config.tournament.data or config.evaluate.held_out):
        print(
            "generated samples are judged by the data that they are trained on (evaluate.held_out)",
            flush=True,
        )
    before = read_curves(given.out)
    if before:
        own = Start("quality", "", [], asdict(config))
        check_same({given.out / "curves": before[0], given.config: own})


def rules(given: Namespace, shards: int) -> list[str]:
    """Return the rules that are possible with some shards; print why others are not."""
    config = load(given.config, given.overrides)
    found = []
    for rule in get_args(Rule):
        own = replace(
            config,
            data=replace(config.data, shards=shards),
            optimizer=replace(config.optimizer, scaling=rule),
        )
        if wrong := list(wrong_scaling(own)):
            print(f"{shards} shards, {rule}: left out: {wrong[0]}")
        else:
            found.append(rule)
    return found


def _divided(
    shards: int, rule: str, seeds: Sequence[int], target: float | None, parts: int
) -> list[Job]:
    """Return jobs that share out some seeds."""
    return [Job(shards, rule, list(own), target) for n in range(parts) if (own := seeds[n::parts])]


def _make(given: Namespace, jobs: Iterable[Job], cores: list[list[int]]) -> int:
    """Make the runs of jobs that are not there yet; return how many jobs have failed."""
    free: SimpleQueue[list[int]] = SimpleQueue()
    for core in cores:
        free.put(core)

    def make(job: Job) -> int:
        core = free.get()
        try:
            return start(given, job, core)
        finally:
            free.put(core)

    with ThreadPoolExecutor(len(cores)) as pool:
        return sum(pool.map(make, jobs))


def start(given: Namespace, job: Job, core: list[int]) -> int:
    """Make the runs of a job on a core; print a line for each, and return 1 if it has failed."""
    place = f"{job.shards} shard" + "s" * (job.shards > 1) + f", {job.rule}"
    seeds = missing(given.out, job)
    if not seeds:
        return 0
    line = [sys.executable, "-m", "hpcgan.scaling.curve_run", given.config, str(given.out)]
    line += ["--seeds", ",".join(map(str, seeds)), *given.overrides]
    line += ["--data.shards", str(job.shards), "--optimizer.scaling", job.rule]
    line += [] if job.target is None else ["--target", repr(job.target)]
    status, output = launcher.run_on(core, line)
    for seed in sorted(set(seeds) - set(missing(given.out, job))):
        path = path_of(given.out, job.shards, job.rule, seed)
        print(f"{place}, seed {seed}: {_described(path, job.target)}", flush=True)
    if status:
        failed = f"failed with status {status}: {launcher.last_line(output)}"
        print(f"{place}: {failed}", flush=True)
    return int(status != 0)


def missing(directory: Path, job: Job) -> list[int]:
    """Return the seeds of a job whose runs are not there, or ended at another target too soon."""

    def is_there(seed: int) -> bool:
        path = path_of(directory, job.shards, job.rule, seed)
        return path.exists() and read_start(path, Curve).is_enough(job.target)

    return [seed for seed in job.seeds if not is_there(seed)]


def _described(path: Path, target: float | None) -> str:
    """Return a line about a run."""
    curve = read_start(path, Curve)
    end = f"Fréchet distance {curve.points[-1].frechet:.4g} after {curve.images} images"
    if target is None:
        return f"{end}, {curve.at_budget():.4g} after {curve.budget}"
    found = curve.to(target)
    reached = f"after {found:.0f} images" if found is not None else "never reached"
    return f"{end}; {target:.4g} {reached}"
