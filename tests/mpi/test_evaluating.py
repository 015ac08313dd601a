"""Runs that are evaluated while they train: the same figures on any number of ranks, networks that
do not notice, and what happens when a GAN has gone wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from hpcgan import checkpoint
from hpcgan.errors import RunError
from hpcgan.evaluation.watchdog import Signal
from hpcgan.evaluation.while_training import Evaluator
from hpcgan.gan.state import State
from hpcgan.training.plan import prepare
from tests.mpi.small_runs import check_same, train, variables, write_config


@pytest.fixture(scope="module")
def evaluated(world, ring, tmp_path_factory):
    """Return the configuration and directory of a run that was evaluated at steps 0, 5 and 10."""
    place = Path(world.on_root(lambda: str(tmp_path_factory.mktemp("evaluated"))))
    config = write_config(world, place, evaluate={"every_steps": 5})
    world.on_root(lambda: str(shutil.copy(place / "data.h5", place / "held.h5")))
    train(world, config, place / "run", f"--evaluate.held_out=[{place / 'held.h5'}]")
    world.barrier()
    return config, place / "run"


def lines(run_dir, name):
    return [json.loads(line) for line in (run_dir / name).read_text().splitlines()]


def alone(world, config, run_dir, step):
    """Return floors and figures of a checkpoint by each rank alone."""
    plan = prepare(world, config, [], run_dir, "auto")
    found = checkpoint.read(checkpoint.path_of(run_dir / "checkpoints", step))
    state = State(plan.config, plan.source.sample_shape)
    group = world.split(world.rank)
    checkpoint.restore(group, state, found)
    evaluator = Evaluator(group, plan, state)
    return evaluator.floors, evaluator.evaluate()


def test_any_number_of_ranks_gets_the_figures_of_one(world, evaluated):
    config, run_dir = evaluated
    history = [line for line in lines(run_dir, "history.jsonl") if "evaluation" in line]
    assert [(line["event"], line["step"]) for line in history] == [("floors", 0), ("evaluated", 0)]
    metrics = lines(run_dir, "metrics.jsonl")
    assert [line["step"] for line in metrics if "evaluation" in line] == [5, 10]
    floors, figures = alone(world, config, run_dir, 10)
    assert figures.keys() - floors.keys() == {"auc_real_fake"}
    for written, computed in ((history[0], floors), (metrics[-1], figures)):
        for name, value in computed.items():
            key = name if name.startswith("auc") else f"{name}_pca10"  # of 43 samples
            assert written["evaluation"][key] == pytest.approx(value, rel=1e-6, abs=1e-9)
    # Held-out samples from the same distribution, here the same ones.
    assert 0.3 < metrics[-1]["evaluation"]["auc_training_held_out"] < 0.7


def test_networks_do_not_notice_that_they_are_evaluated(world, evaluated, small_run):
    _, run_dir = evaluated
    if world.is_root:
        theirs = variables(world, small_run.directory, 10)
        check_same(variables(world, run_dir, 10), theirs)
        assert not any("evaluation" in line for line in lines(small_run.directory, "metrics.jsonl"))


def test_the_best_checkpoint_is_that_of_the_best_figure(world, evaluated):
    _, run_dir = evaluated
    if world.is_root:
        metrics = lines(run_dir, "metrics.jsonl")
        best = min(metrics, key=lambda line: line["evaluation"]["frechet_pca10"])
        assert checkpoint.read(checkpoint.best_path(run_dir / "checkpoints")).step == best["step"]


def test_a_run_that_stops_goes_on_with_its_evaluations(world, evaluated, shared_path):
    """The second half of the run that was evaluated, with another figure for the best."""
    config, run_dir = evaluated
    other = shared_path / "run"
    if world.is_root:
        shutil.copytree(run_dir, other)
        checkpoint.path_of(other / "checkpoints", 10).unlink()
        checkpoint.best_path(other / "checkpoints").unlink()
    world.barrier()
    held_out = f"--evaluate.held_out=[{run_dir.parent / 'held.h5'}]"
    train(world, config, other, held_out, "--evaluate.best=diversity")
    if world.is_root:
        before, after = (lines(each, "metrics.jsonl") for each in (run_dir, other))
        assert [each["evaluation"] for each in after] == [each["evaluation"] for each in before]
        events = [line["event"] for line in lines(other, "history.jsonl")]
        first, second = ["started", "floors", "evaluated"], ["resumed", "floors"]
        assert [each for each in events if each != "warning"] == [
            *(*first, "finished", *second, "finished")
        ]
        # It has a new best only if it is better than those before the stop.
        five, ten = (each["evaluation"]["diversity_pca10"] for each in before)
        assert checkpoint.best_path(other / "checkpoints").exists() == (ten > five)


def test_a_run_that_has_gone_wrong_goes_back_to_its_best(world, shared_path, monkeypatch):
    """What shows after step 6 is not shown again: the run goes on to its end."""
    place = shared_path
    shown = []

    def signal(evaluations, floors, steps):
        if evaluations[-1].step == 6 and not shown:
            shown.append([each.step for each in evaluations])
            return Signal("it collapsed", "to a point")
        return None

    monkeypatch.setattr("hpcgan.training.evaluating.signal", signal)
    config = write_config(
        world, place, evaluate={"every_steps": 2}, watch={"collapse": "rollback", "rollbacks": 1}
    )
    train(world, config, place / "run", "--train.steps=8", "--log.every_steps=2")
    assert shown == [[0, 2, 4, 6]]
    if world.is_root:
        (back,) = (
            line for line in lines(place / "run", "history.jsonl") if line["event"] == "rolled back"
        )
        assert back["why"] == "after step 6 it collapsed: to a point"
        best = back["step"]
        assert best < 6
        last = checkpoint.read(checkpoint.path_of(place / "run" / "checkpoints", 8))
        assert (last.rollbacks, last.discarded) == (1, 6 - best)
        steps = [line["step"] for line in lines(place / "run", "metrics.jsonl")]
        assert steps == [2, 4, 6, 8]


def test_a_run_that_has_gone_wrong_stops_with_a_checkpoint(world, shared_path, monkeypatch):
    place = shared_path
    monkeypatch.setattr(
        "hpcgan.training.evaluating.signal",
        lambda evaluations, floors, steps: Signal("it collapsed", "to a point"),
    )
    config = write_config(world, place, evaluate={"every_steps": 3}, watch={"collapse": "stop"})
    with pytest.raises(RunError, match="after step 3 it collapsed: to a point") as caught:
        train(world, config, place / "run", "--checkpoint.every_steps=10")
    assert caught.value.on_all_ranks
    if world.is_root:
        assert checkpoint.read(checkpoint.path_of(place / "run" / "checkpoints", 3)).step == 3


def test_samples_that_are_not_finite_end_the_run_on_all_ranks(world, shared_path, monkeypatch):
    """Rank 0 alone makes samples: the others learn of it."""

    def generated(group, *rest):
        if group.is_root:
            yield np.full((43, 8, 8, 1), np.nan, np.float32), None

    monkeypatch.setattr("hpcgan.evaluation.drawing.generated", generated)
    config = write_config(world, shared_path, evaluate={"every_steps": 5})
    with pytest.raises(RunError, match="after step 0 samples are no longer finite") as caught:
        train(world, config, shared_path / "run")
    assert caught.value.on_all_ranks
