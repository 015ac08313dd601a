"""Fits find the values from which points were made, and predict other sizes with them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hpcgan.errors import ConfigError
from hpcgan.scaling.fit import Point, fit, read_points
from hpcgan.scaling.model import Model

TRUE = Model(
    samples=64,
    compute_fixed=0.02,
    compute_per_sample=2e-3,
    variation=0.05,
    gradient_bytes=4.2e6,
    overhead=3e-3,
    within_bandwidth=2e9,
    between_latency=2e-3,
    between_bandwidth=1.25e8,
)


def point(model: Model, ranks: int) -> Point:
    """Return what would be measured, with exactly the variation of the model."""
    return Point(
        ranks=ranks,
        nodes=model.nodes(ranks),
        samples=int(model.samples),
        gradient_bytes=model.gradient_bytes,
        exchanges=model.exchanges,
        step_seconds=model.step(ranks).total,
        limit_seconds=model.compute,
        compute_seconds=[model.compute * (1 + sign * model.variation) for sign in (1, -1)] * 500,
    )


def test_over_a_known_link_overhead_and_what_the_ranks_copy_are_found() -> None:
    known = replace(TRUE, between_latency=0.0)
    models = [replace(known, gradient_bytes=size) for size in (1e6, 4.2e6, 2e7)]
    found = fit([point(model, 2) for model in models], between_latency=0.0)
    assert set(found.unknowns) == {"overhead", "between_bandwidth"}
    assert found.model.overhead == pytest.approx(3e-3, rel=1e-2)
    assert found.model.between_bandwidth == pytest.approx(1.25e8, rel=1e-2)
    assert found.model.between_latency == 0
    assert found.model.variation == pytest.approx(0.05, rel=1e-2)
    assert max(map(abs, found.errors)) < 1e-4


def test_the_variation_is_that_of_a_sample_around_the_mean_of_its_point() -> None:
    full = replace(TRUE, ranks_per_node=4)
    points = [
        replace(point(full, ranks), compute_seconds=times)
        for ranks, times in ((1, [0.9, 1.1]), (2, [1.8, 2.0, 2.2]), (4, [3.0, 3.0]))
    ]
    # Squares of relative deviations: 2 and 2 of 0.01; degrees of freedom: 1, 2 and 1.
    assert fit(points).model.variation == pytest.approx(math.sqrt(0.04 / 4))


def test_computing_takes_the_mean_of_what_points_of_one_batch_took() -> None:
    full = replace(TRUE, ranks_per_node=4)
    points = [
        replace(point(full, ranks), limit_seconds=seconds)
        for ranks, seconds in ((1, 0.1), (2, 0.14), (4, 0.12))
    ]
    found = fit(points).model
    assert (found.compute_fixed, found.compute_per_sample) == (0, pytest.approx(0.12 / 64))


def test_the_link_between_nodes_is_found() -> None:
    found = fit([point(TRUE, ranks) for ranks in (1, 2, 4, 8, 16)])
    assert set(found.unknowns) == {"overhead", "between_latency", "between_bandwidth"}
    assert found.model.between_latency == pytest.approx(2e-3, rel=2e-2)
    assert found.model.between_bandwidth == pytest.approx(1.25e8, rel=2e-2)
    assert found.model.step(1000).total == pytest.approx(TRUE.step(1000).total, rel=1e-2)


def test_three_runs_on_one_node_are_enough() -> None:
    found = fit([point(replace(TRUE, ranks_per_node=4), ranks) for ranks in (1, 2, 4)])
    assert set(found.unknowns) == {"overhead", "within_bandwidth"}
    assert found.model.overhead == pytest.approx(3e-3, rel=1e-2)
    assert found.model.within_bandwidth == pytest.approx(2e9, rel=5e-2)
    assert found.model.ranks_per_node == 4


def test_noise_of_a_hundredth_moves_predicted_steps_by_a_few() -> None:
    generator = np.random.default_rng(0)
    points = [
        point(replace(TRUE, gradient_bytes=size), ranks)
        for ranks in (2, 4, 8)
        for size in (1e6, 4.2e6, 2e7)
    ]
    noisy = [
        replace(each, step_seconds=each.step_seconds * generator.normal(1, 0.01)) for each in points
    ]
    found = fit(noisy)
    assert max(map(abs, found.errors)) < 0.03
    model = replace(found.model, gradient_bytes=TRUE.gradient_bytes)
    for ranks in (8, 1024):
        assert model.step(ranks).total == pytest.approx(TRUE.step(ranks).total, rel=0.05)


def test_compute_times_come_from_the_fullest_nodes_and_all_their_batches() -> None:
    full = replace(TRUE, ranks_per_node=2)
    points = [
        replace(point(full, 1), limit_seconds=0.01),  # a node to itself is faster
        point(full, 2),
        point(replace(full, samples=16), 2),
    ]
    found = fit(points)
    assert found.model.compute_fixed == pytest.approx(0.02)
    assert found.model.compute_per_sample == pytest.approx(2e-3)
    assert found.model.samples == 64


def test_too_few_points_are_refused_with_what_is_missing() -> None:
    points = [point(TRUE, ranks) for ranks in (1, 2, 4)]
    with pytest.raises(ConfigError, match=r"3 unknowns .*latency.* 2 points .* measure 1 more"):
        fit(points)
    for none in ([], points[:1]):
        with pytest.raises(ConfigError, match=r"1 unknowns \(overhead\) and 0 points"):
            fit(none)


@pytest.mark.parametrize(
    "changes",
    [
        {"ranks": 0},
        {"ranks": 2.0},
        {"ranks": 3, "nodes": 2},
        {"step_seconds": 0},
        {"step_seconds": math.nan},
        {"limit_seconds": "1"},
        {"compute_seconds": [1.0]},
        {"compute_seconds": [1.0, -1.0]},
    ],
)
def test_points_that_cannot_be_are_refused(tmp_path: Path, changes: dict) -> None:
    path = tmp_path / "points.json"
    path.write_text(json.dumps(vars(point(TRUE, 2)) | changes))
    with pytest.raises(ConfigError, match=r"points.json: is no list of measured points: ValueErr"):
        read_points(path)


def test_points_are_read_from_a_file_of_one_or_several(tmp_path: Path) -> None:
    points, path = [point(TRUE, ranks) for ranks in (1, 2, 4)], tmp_path / "points.json"
    path.write_text(json.dumps(vars(points[0])))
    assert read_points(path) == points[:1]
    path.write_text(json.dumps([vars(each) for each in points]))
    assert read_points(path) == points


@pytest.mark.parametrize("content", [None, "", "3", "[1]", '{"ranks": 1}', '{"rank": 1}'])
def test_other_files_are_refused_by_name(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "points.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"points\.json: is no list of measured points: .*report"):
        read_points(path)
