"""The run directory: held, looked into, and made way in, in this order.

Whatever is read from it or renamed in it before the lock is held may be another run's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpcgan import checkpoint, population_commit
from hpcgan.checkpoint import Checkpoint
from hpcgan.checkpoint_directory import has_any, set_aside_after, set_aside_damaged
from hpcgan.config import Config
from hpcgan.errors import CheckpointError, ConfigError, RunError
from hpcgan.files import set_aside
from hpcgan.population_commit import Commit
from hpcgan.training import history, requeues
from hpcgan.training.lock import LOCK, RunLock, only_run
from hpcgan.training.plan import Plan, check_same, decide
from hpcgan.world import World


@contextmanager
def held(
    world: World,
    config: Config,
    run_dir: Path,
    resume: str,
    allow_change: bool = False,
    environment: Mapping[str, str] = os.environ,
    rounds: int | None = None,
    like: Plan | None = None,
) -> Iterator[Plan]:
    """Hold a run directory while inside, ready for the run that is yielded. All ranks must enter.

    Of a run that is finished nothing is touched, and so it is if a user error is raised before.
    The arguments are those of ``plan.decide``, and the environment, in which Slurm counts starts.

    Raises:
        UserError: something is wrong, another run holds the directory, or the job is started again
            and again in vain (``requeues``); the same on all ranks.
    """
    with only_run(world, run_dir) as lock:
        now: str = world.on_root(lambda: _resume_now(resume, run_dir, environment))
        plan = decide(world, config, run_dir, now, allow_change, rounds, like)
        if not plan.is_finished:
            step = plan.found.step if plan.found else 0
            world.on_root(lambda: requeues.check(run_dir, step, environment))
            why = "damaged" if now == "auto" and rounds is None else "superseded"
            world.on_root(lambda: _make_way(plan, now == "never", why, lock))
        yield plan


@contextmanager
def held_population(
    world: World,
    config: Config,
    run_dir: Path,
    resume: str,
    allow_change: bool = False,
    environment: Mapping[str, str] = os.environ,
) -> Iterator[Commit]:
    """Hold the directory of a population while inside; give how far it has come.

    All ranks must enter. The members' own directories are held by ``held``.

    Raises:
        UserError: another run holds it, it is of another population, or the job is started again
            and again in vain (on all ranks).
    """

    def begin() -> dict[str, Any]:
        is_anew = _resume_now(resume, run_dir, environment) == "never"
        found = None if is_anew else population_commit.read(run_dir)
        if is_anew:
            with _renaming():
                set_aside_run(run_dir, lock)
        if found:
            path = population_commit.path_of(run_dir)
            check_same(str(path), found.config, config, allow_change)
        commit = replace(found, config=config) if found else Commit(config)
        # A member whose turn does not come makes no step: all of them together have to.
        step = _mean_step(run_dir, config.parallel.population)
        requeues.check(run_dir, step, environment)
        population_commit.write(run_dir, commit)
        history.note(run_dir, "resumed" if found else "started", step, ranks=world.size)
        return {"round": commit.round, "step": commit.step, "diverged": commit.diverged}

    with only_run(world, run_dir) as lock:
        numbers = world.on_root(begin)
        yield Commit(config, numbers["round"], numbers["step"], tuple(numbers["diverged"]))


def _mean_step(run_dir: Path, members: int) -> int:
    """Return the mean step of the members' newest checkpoints, by their names."""
    found = [
        checkpoint.paths(population_commit.member_directory(run_dir, member) / "checkpoints")
        for member in range(members)
    ]
    return sum(checkpoint.step_of(paths[-1]) for paths in found if paths) // members


def _resume_now(resume: str, run_dir: Path, environment: Mapping[str, str]) -> str:
    """Return auto for a job that Slurm has started again: its words are those of its first start.

    Where that has made no checkpoint, the words mean what they did.
    """
    number = requeues.count(environment)
    if resume == "auto" or not number or not has_any(run_dir):
        return resume
    print(
        f"hpcgan: Slurm has started this job again (restart {number}): --resume {resume} was for "
        "its first start, and now it is --resume auto",
        flush=True,
    )
    return "auto"


def go_back(checkpoints: Path, to_best: bool, step: int) -> Checkpoint:
    """Return a checkpoint of a run under way after ``step``, and set aside what is newer.

    It is the newest whole one, or the best: what came after that is not to be used again. A best
    one of a later step is from before the run went back to an earlier one.

    Raises:
        CheckpointError: there is none.
        RunError: something cannot be renamed.
    """
    best = checkpoint.best_path(checkpoints)
    found, warnings = None, []
    if to_best and best.exists():
        try:
            found = checkpoint.read(best)
        except CheckpointError as error:
            warnings.append(f"{error}; trying the newest")
        if found and found.step > step:
            found = None
    why = "superseded" if found else "damaged"
    if found is None:
        found, further = checkpoint.newest(checkpoints)
        warnings += further
    for warning in warnings:
        print(f"hpcgan: warning: {warning}", flush=True)
    if found is None:
        raise CheckpointError(f"{checkpoints}: there is no whole checkpoint")
    with _renaming():
        _print(set_aside_after(checkpoints, found, why))
    return found


def _make_way(plan: Plan, is_anew: bool, why: str, lock: RunLock) -> None:
    """Set aside what stands where the run will write, now that nothing is left to refuse.

    It is all of an earlier run, if this one begins ``is_anew``; else later checkpoints than that
    from which it goes on, which get ``why`` behind their names.
    """
    with _renaming():
        if is_anew:
            set_aside_run(plan.run_dir, lock)
        elif plan.found:
            _print(set_aside_after(plan.checkpoints, plan.found, why))
            _print(set_aside_damaged(plan.checkpoints, plan.config.checkpoint.keep))


@contextmanager
def _renaming() -> Iterator[None]:
    """Turn what goes wrong inside while something is renamed into a ``RunError`` of one line."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"{error.filename}: what was written before cannot be set aside: "
            f"{os.strerror(error.errno or 0)}"
        ) from None


def _print(aside: list[Path]) -> None:
    for path in aside:
        print(f"hpcgan: set aside: {path}", flush=True)


def set_aside_run(run_dir: Path, lock: RunLock) -> None:
    """Rename an earlier run's directory to the first free of NAME.1, NAME.2, ..."""
    if [each.name for each in run_dir.iterdir()] == [LOCK]:
        return
    if Path.cwd().is_relative_to(run_dir.resolve()):
        raise ConfigError(
            f"--run-dir {run_dir}: --resume never would rename the directory that hpcgan runs in; "
            "start it in another one"
        )
    aside = set_aside(run_dir)
    print(f"hpcgan: the earlier run in {run_dir} is now {aside}", flush=True)
    lock.take()  # the one held until now went with it
