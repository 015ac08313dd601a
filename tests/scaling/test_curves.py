"""Curves of a quality study, what they say together, and the study that makes them."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcgan import checkpoint
from hpcgan.errors import ConfigError, RunError
from hpcgan.evaluation.judging import FrechetJudge
from hpcgan.scaling import curve_run, quality_study, report
from hpcgan.scaling.curves import Curve, CurvePoint, crossing, grid, path_of, read_curves
from hpcgan.scaling.quality_summary import best_rules, paired, summarize, target_of
from hpcgan.scaling.runs import to_json
from hpcgan.world import World
from tests.scaling.made import made, write

BUDGET, BATCH = 1600, 10


def points(*distances: float) -> list[CurvePoint]:
    """Return points after 0, 100, 200, ... images."""
    return [CurvePoint(100 * place, each) for place, each in enumerate(distances)]


def curve(shards: int, rule: str, seed: int, images: float, end: float = 8.0) -> Curve:
    """Return a run that reaches a distance of 10 after some images; at its end it has ``end``."""
    steps = [CurvePoint(0, 100.0), CurvePoint(int(images), 10.0), CurvePoint(2 * BUDGET, end)]
    config = {"name": "made", "seed": seed, "data": {"shards": shards}}
    start = ("quality", "2026-01-02T03:04:05+00:00", ["node0"], config)
    noise = (None, None) if shards == 1 else (160.0, 16.0)
    return Curve(*start, shards, rule, seed, BUDGET, BATCH * shards, steps, 0.5, *noise)


def test_a_crossing_lies_between_two_points_and_is_confirmed_by_the_next() -> None:
    assert crossing(points(9, 5, 3, 2), 4) == pytest.approx(150)
    assert crossing(points(9, 3, 5, 3, 2), 4) == pytest.approx(250)  # the first was not confirmed
    assert crossing(points(9, 5, 3), 4) is None  # nor is one at the end
    assert crossing(points(9, 8, 7), 4) is None
    assert crossing(points(9, 4, 4), 4) == pytest.approx(100)


def test_points_are_sixteenths_of_the_budget_and_grow_farther_apart() -> None:
    places = grid(1600, 6000)
    assert places[:16] == pytest.approx([100 * n for n in range(1, 17)])
    assert np.diff(places)[15:] == pytest.approx(np.array(places[15:-1]) / 16)
    assert places[-2] < 6000 <= places[-1]


def test_the_target_is_the_mean_of_what_one_shard_has_at_its_end() -> None:
    curves = [curve(1, "none", 0, 1600), curve(1, "none", 1, 1600)]
    curves[1].points[1] = CurvePoint(1600, 40.0)
    assert target_of(curves, [0, 1]) == pytest.approx(20)
    assert target_of(curves, [0]) == pytest.approx(10)


def test_the_rule_is_the_one_that_reaches_the_target_first() -> None:
    curves = [curve(1, "none", seed, 1600) for seed in (5, 6)]
    curves += [curve(2, "none", seed, 3000) for seed in (5, 6)]
    curves += [curve(2, "linear", seed, images) for seed, images in ((5, 1000), (6, 2000))]
    curves += [curve(2, "sqrt", 5, 100)]  # a run has failed
    curves += [curve(2, "sde", seed, 100) for seed in (0, 1)]  # other seeds
    assert best_rules(curves, [5, 6]) == {1: "none", 2: "linear"}


def test_ratios_are_of_geometric_means_with_intervals_of_pairs() -> None:
    found = paired([8, 4, 2], [4, 1, 1])
    logs = np.log([2, 4, 2])
    half = 4.302653 * logs.std(ddof=1) / np.sqrt(3)  # of Student's t with 2 degrees of freedom
    assert found.value == pytest.approx(np.exp(logs.mean()))
    assert (found.low, found.high) == pytest.approx(
        np.exp([logs.mean() - half, logs.mean() + half])
    )
    assert paired([6], [2]).low is None
    assert paired([6, 3], [2, 1]) == paired([3, 6], [1, 2])


def test_a_run_that_ended_at_another_target_is_made_again(tmp_path: Path) -> None:
    short = curve(2, "linear", 0, 1000, end=9.0)  # it ends before its limit of 2.2 budgets
    assert short.images == 2 * BUDGET
    path = path_of(tmp_path, 2, "linear", 0)
    path.parent.mkdir()
    path.write_text(to_json(short))
    jobs = [quality_study.Job(2, "linear", [0, 1], target) for target in (10.0, 9.5)]
    assert [quality_study.missing(tmp_path, job) for job in jobs] == [[1], [0, 1]]
    path = path_of(tmp_path, 1, "none", 0)  # one shard has no target, and its limit is 2 budgets
    path.write_text(to_json(curve(1, "none", 0, 1600)))
    assert quality_study.missing(tmp_path, quality_study.Job(1, "none", [0], None)) == []


def study(seeds: Sequence[int] = range(5)) -> list[Curve]:
    """Return runs of which two shards are 1.6 times sooner with linear rates: 2,000 images."""
    curves = [curve(1, "none", seed, 1600) for seed in seeds]
    for seed in seeds[-2:]:
        curves += [curve(2, "none", seed, 3200, end=20.0), curve(2, "linear", seed, 1800)]
    return curves + [curve(2, "linear", seed, 2000) for seed in seeds[:-2]]


def test_a_study_says_how_much_sooner_beside_what_the_noise_predicts() -> None:
    found = summarize(study(), 2)
    assert found is not None
    assert (found.target, found.budget, found.floor) == (pytest.approx(10), BUDGET, 0.5)
    one, two = found.rows
    assert (one.shards, one.rule, one.steps.value) == (1, "none", 1)
    assert (two.shards, two.rule, two.reached, two.images) == (2, "linear", 3, 2000)
    assert two.steps.value == pytest.approx(1.6)
    # (1 + 160 / 10) / (1 + 160 / 20) and the same of 16.
    assert two.predicted == {"D": pytest.approx(17 / 9), "G": pytest.approx(2.6 / 1.8)}
    rules = {row.rule: row for row in found.choosing if row.shards == 2}
    assert rules["linear"].steps.value == pytest.approx(3200 / 1800)
    assert rules["none"].reached == 0  # it counts as if it were there at its end
    assert rules["none"].steps.value == pytest.approx(1)


def test_there_is_no_summary_before_there_are_seeds_beside_those_of_the_choice() -> None:
    assert summarize([], 2) is None
    assert summarize([curve(1, "none", seed, 100) for seed in (0, 1)], 2) is None


def test_the_report_has_the_table_and_times_where_steps_were_timed(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for each in study():
        place = path_of(tmp_path, each.shards, each.rule, each.seed)
        place.parent.mkdir(exist_ok=True)
        place.write_text(to_json(each))
    report.write(tmp_path)
    said = capsys.readouterr().out
    assert "target: Fréchet distance 10 (floor 0.5), what one shard has after 1600 images" in said
    assert "linear   3 of 3              2000  1.60 [1.60, 1.60]" in said
    assert "in time" not in said
    assert json.loads((tmp_path / "quality.json").read_text())["target"] == pytest.approx(10)
    assert {each.name for each in tmp_path.iterdir()} == {
        *("curves", "quality.txt", "quality.json", "quality.png")
    }
    write(tmp_path, made(ranks=1, step=0.1), made(ranks=2, step=0.125))
    report.write(tmp_path)
    said = capsys.readouterr().out
    assert "sooner in time" in said
    # 1.6 times fewer steps, each of which takes 1.25 times as long.
    assert re.search(r"1\.44 +1\.28\n", said)


def test_runs_are_those_of_training_with_each_seed(world: World, data_file: Path) -> None:
    from hpcgan.gan.state import State
    from hpcgan.training import run
    from hpcgan.training.plan import prepare
    from hpcgan.training.stop import Request

    place = data_file.parent
    config = place / "config.yaml"
    config.write_text(
        f"data: {{files: [{data_file}]}}\nmodel: {{latent_dim: 6}}\n"
        "train: {batch_size: 5, steps: 12, ema: 0.5}\nevaluate: {samples: 40}\n"
    )
    words = [str(config), str(place), "--seeds", "0,3", "--data.shards", "2"]
    arguments = curve_run.parse(words)
    arguments.run(world, arguments)
    found = {each.seed: each for each in read_curves(place)}
    assert sorted(found) == [0, 3]
    # 12 steps of one shard's 5 images; two shards go on to as many steps and a tenth.
    assert {(each.budget, each.batch, each.images) for each in found.values()} == {(60, 10, 150)}
    assert [point.images for point in found[3].points[:4]] == [0, 10, 10, 20]

    more = ["--seed=3", "--data.shards=2", "--train.steps=15"]
    plan = prepare(world, str(config), more, place / "run", "never")
    run.train(world, plan, Request(None))
    state = State(plan.config, plan.source.sample_shape)
    checkpoint.restore(world, state, checkpoint.read(place / "run/checkpoints/step_00000015.h5"))
    judge = FrechetJudge(world, plan.source, 40)
    expected = judge.score(state, plan.config, (), 1)
    assert found[3].points[-1].frechet == pytest.approx(expected, rel=1e-3)
    assert found[0].points[-1].frechet != pytest.approx(expected, rel=1e-3)


def _given(place: Path, **changes: object) -> Namespace:
    values: dict = {
        **{"config": str(place / "config.yaml"), "overrides": [], "out": place / "study"},
        **{"shards": [1, 2], "seeds": 3},
    }
    return Namespace(**(values | changes))


@pytest.fixture
def place(tmp_path: Path, data_file: Path) -> Path:
    """Return a directory with a configuration."""
    (tmp_path / "config.yaml").write_text(f"data: {{files: [{data_file}]}}\n")
    return tmp_path


def test_a_study_makes_one_shards_runs_then_the_choice_then_the_chosen(
    world: World, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    started: list[quality_study.Job] = []
    images = {"none": 3000, "sqrt": 2500, "linear": 2000, "sde": 2600}

    def start(given: Namespace, job: quality_study.Job, core: list[int]) -> int:
        started.append(job)
        for seed in job.seeds:
            own = curve(job.shards, job.rule, seed, 1600 if job.shards == 1 else images[job.rule])
            path = path_of(given.out, job.shards, job.rule, seed)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(to_json(own))
        return 0

    monkeypatch.setattr(quality_study, "start", start)
    monkeypatch.setattr("hpcgan.scaling.launcher.core_groups", lambda: [[0]])
    assert quality_study.run(world, _given(place)) == 0
    assert [(job.shards, job.rule, job.seeds) for job in started] == [
        (1, "none", [0, 1, 2, 3, 4]),
        *((2, rule, [3, 4]) for rule in ("none", "sqrt", "linear", "sde")),
        (2, "linear", [0, 1, 2]),
    ]
    assert started[0].target is None
    assert [job.target for job in started[1:]] == pytest.approx([10] * 5)
    assert "2  linear   3 of 3" in capsys.readouterr().out


def test_the_data_of_a_study_stay_the_same(
    world: World, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality_study, "start", lambda *_: 1)
    for _ in range(2):
        with pytest.raises(RunError, match="without the runs of one shard"):
            quality_study.run(world, _given(place))
    with h5py.File(place / "data.h5", "r+") as file:
        file["images"][7] = 0
    with pytest.raises(ConfigError, match=r"study: was begun with other content of data\.files "):
        quality_study.run(world, _given(place))


def test_a_rule_that_cannot_be_is_left_out(
    place: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = _given(place, overrides=["--optimizer.generator.beta_2=0.5"])
    assert quality_study.rules(given, 2) == ["none", "sqrt", "linear"]
    assert "2 shards, sde: left out: optimizer.scaling" in capsys.readouterr().out


def test_what_the_study_sets_is_refused(world: World, place: Path) -> None:
    for key in ("data.shards", "optimizer.scaling", "seed"):
        with pytest.raises(ConfigError, match=f"--{key} has no effect here: the study sets it"):
            quality_study.run(world, _given(place, overrides=[f"--{key}=1"]))


def test_another_studys_directory_is_refused(world: World, place: Path) -> None:
    own = curve(1, "none", 0, 1600)
    path = path_of(place / "study", 1, "none", 0)
    path.parent.mkdir(parents=True)
    path.write_text(to_json(own))
    with pytest.raises(ConfigError, match=r"different configurations .*use another"):
        quality_study.run(world, _given(place))
