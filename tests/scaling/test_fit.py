"""Fits find the values from which points were made, and foretell other links with them."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from hpcgan.errors import ConfigError
from hpcgan.scaling.fit import fit, over_link, unknowns_of
from hpcgan.scaling.model import Link, Machine, Work, step
from hpcgan.scaling.points import Point, read_points

TRUE = Machine(
    between=Link(50e-6, 1.25e8, software=4e8, trips=3, eager=65536),
    within=Link(1e-6, 2e9),
    ranks_per_node=1,
)
WORK = Work(
    samples=64,
    compute_fixed=0.02,
    compute_per_sample=2e-3,
    variation=0.05,
    gradient_bytes=4.2e6,
    overhead=3e-3,
    negotiations=1.5,
)


def times(work: Work) -> tuple[float, ...]:
    """Return compute times with exactly the mean and the variation of the work."""
    return (work.compute * (1 + work.variation), work.compute * (1 - work.variation)) * 500


def point(machine: Machine, work: Work, ranks: int, known: bool = True) -> Point:
    """Return what would be measured; ``known``: compute times and the link."""
    return Point(
        ranks=ranks,
        nodes=machine.nodes(ranks),
        samples=int(work.samples),
        gradient_bytes=work.gradient_bytes,
        step_seconds=step(machine, work, ranks).total,
        limit_seconds=work.compute,
        compute_seconds=times(work) if known else (),
        link_latency=machine.between.latency if known else None,
        link_bandwidth=machine.between.bandwidth if known else None,
    )


def test_over_a_known_link_overhead_and_software_are_found() -> None:
    sizes = [replace(WORK, gradient_bytes=size) for size in (1e6, 4.2e6, 2e7)]
    found = fit([point(TRUE, work, 2) for work in sizes])
    assert set(found.unknowns) == {"overhead", "between_software"}
    assert found.work.overhead == pytest.approx(3e-3, rel=1e-2)
    assert found.machine.between.software == pytest.approx(4e8, rel=1e-2)
    assert found.work.variation == pytest.approx(0.05, rel=1e-2)
    assert max(map(abs, found.errors)) < 1e-4


def test_the_variation_is_that_of_a_sample_around_the_mean_of_its_point() -> None:
    one, two = (
        replace(point(TRUE, WORK, ranks), compute_seconds=times)
        for ranks, times in ((1, (0.9, 1.1)), (2, (1.8, 2.0, 2.2)))
    )
    # Squares of relative deviations: 2 and 2 of 0.01; degrees of freedom: 1 and 2.
    assert fit([one, two]).work.variation == pytest.approx(math.sqrt(0.04 / 3))


def test_computing_takes_the_mean_of_what_points_of_one_batch_took() -> None:
    points = [
        replace(point(TRUE, WORK, ranks), limit_seconds=seconds)
        for ranks, seconds in ((1, 0.1), (2, 0.14))
    ]
    found = fit(points).work
    assert (found.compute_fixed, found.compute_per_sample) == (0, pytest.approx(0.12 / 64))


def test_the_link_between_nodes_is_found() -> None:
    machine = replace(TRUE, between=Link(2e-3, 1.25e8, trips=3, eager=65536))
    points = [point(machine, WORK, ranks) for ranks in (1, 2, 4, 8, 16)]
    points = [replace(each, link_latency=None, link_bandwidth=None) for each in points]
    found = fit(points)
    assert set(found.unknowns) == {"overhead", "between_latency", "between_bandwidth"}
    assert found.machine.between.latency == pytest.approx(2e-3, rel=2e-2)
    assert found.machine.between.bandwidth == pytest.approx(1.25e8, rel=2e-2)
    foretold = step(found.machine, found.work, 1000).total
    assert foretold == pytest.approx(step(machine, WORK, 1000).total, rel=1e-2)


def test_three_runs_on_one_node_are_enough() -> None:
    machine = replace(TRUE, ranks_per_node=4)
    points = [replace(point(machine, WORK, ranks), nodes=1) for ranks in (1, 2, 4)]
    found = fit(points)
    assert set(found.unknowns) == {"overhead", "within_bandwidth"}
    assert found.work.overhead == pytest.approx(3e-3, rel=1e-2)
    assert found.machine.within.bandwidth == pytest.approx(2e9, rel=5e-2)
    assert found.machine.ranks_per_node == 4
    assert not found.knows_between


def test_the_variation_is_fitted_where_no_compute_times_are_known() -> None:
    points = [
        replace(point(TRUE, replace(WORK, gradient_bytes=size), ranks), compute_seconds=())
        for ranks in (2, 16)
        for size in (1e6, 2e7)
    ]
    found = fit(points)
    assert found.unknowns["variation"] == pytest.approx(0.05, rel=2e-2)


def test_noise_of_a_hundredth_moves_foretold_steps_by_a_few() -> None:
    generator = np.random.default_rng(0)
    points = [
        point(TRUE, replace(WORK, gradient_bytes=size), ranks)
        for ranks in (2, 4)
        for size in (1e6, 4.2e6, 2e7)
    ]
    noisy = [
        replace(each, step_seconds=each.step_seconds * generator.normal(1, 0.01)) for each in points
    ]
    found = fit(noisy)
    assert max(map(abs, found.errors)) < 0.03
    work = replace(found.work, gradient_bytes=WORK.gradient_bytes)
    for ranks in (8, 1024):
        foretold = step(found.machine, work, ranks).total
        assert foretold == pytest.approx(step(TRUE, WORK, ranks).total, rel=0.05)


@pytest.mark.parametrize(("latency", "bandwidth"), [(50e-6, 2.5e7), (1e-3, 1.25e8), (0.0, 1e10)])
@pytest.mark.parametrize("sizes", [(4.2e6,), (1e6, 4.2e6, 2e7)])
def test_a_fit_on_one_link_foretells_steps_over_others(
    latency: float, bandwidth: float, sizes: tuple[float, ...]
) -> None:
    points = [point(TRUE, replace(WORK, gradient_bytes=size), 2) for size in sizes]
    found = over_link(fit(points), latency, bandwidth)
    true = replace(TRUE, between=replace(TRUE.between, latency=latency, bandwidth=bandwidth))
    work = replace(WORK, gradient_bytes=found.work.gradient_bytes)
    foretold = step(found.machine, found.work, 2).total
    assert foretold == pytest.approx(step(true, work, 2).total, rel=1e-3)


def test_points_over_several_links_are_fitted_together() -> None:
    fast = replace(TRUE, between=replace(TRUE.between, bandwidth=1e10))
    points = [
        point(machine, replace(WORK, gradient_bytes=size), 2)
        for machine in (TRUE, fast)
        for size in (1e6, 2e7)
    ]
    assert max(map(abs, fit(points).errors)) < 1e-4


def test_compute_times_come_from_the_fullest_nodes_and_all_their_batches() -> None:
    full = replace(TRUE, ranks_per_node=2)
    points = [
        replace(point(full, WORK, 1), limit_seconds=0.01),  # a node to itself is faster
        point(full, WORK, 2),
        point(full, replace(WORK, samples=16), 2),
    ]
    found = fit(points)
    assert found.batches == 2
    assert found.work.compute_fixed == pytest.approx(0.02)
    assert found.work.compute_per_sample == pytest.approx(2e-3)
    assert found.work.samples == 64


def test_too_few_points_are_refused_with_what_is_missing() -> None:
    unknown = [point(TRUE, WORK, ranks, known=False) for ranks in (1, 2, 4)]
    with pytest.raises(ConfigError, match=r"4 unknowns .*variation.* 2 points .* measure 2 more"):
        fit(unknown)
    with pytest.raises(ConfigError, match="no measured points"):
        fit([])
    with pytest.raises(ConfigError, match="1 unknowns"):
        fit([point(TRUE, WORK, 1)])


def test_what_cannot_be_told_apart_is_not_fitted() -> None:
    assert unknowns_of([point(TRUE, WORK, 2)] * 3) == ["overhead"]


def test_links_that_some_points_know_are_refused() -> None:
    blind = replace(point(TRUE, WORK, 4), link_latency=None, link_bandwidth=None)
    with pytest.raises(ConfigError, match="some do not"):
        fit([point(TRUE, WORK, 2), blind])


@pytest.mark.parametrize(
    "changes",
    [
        {"ranks": 0},
        {"ranks": 2.0},
        {"ranks": 3, "nodes": 2},
        {"step_seconds": 0},
        {"step_seconds": math.nan},
        {"limit_seconds": "1"},
        {"compute_seconds": (1.0,)},
        {"compute_seconds": (1.0, -1.0)},
        {"link_latency": None},
        {"link_bandwidth": -1.0},
    ],
)
def test_points_that_cannot_be_are_refused(changes: dict) -> None:
    with pytest.raises(ConfigError, match="point has"):
        replace(point(TRUE, WORK, 2), **changes)


def test_points_are_read_from_files_of_one_or_several(tmp_path: Path) -> None:
    points = [point(TRUE, WORK, ranks) for ranks in (1, 2, 4)]
    (tmp_path / "one.json").write_text(json.dumps(asdict(points[0])))
    (tmp_path / "two.json").write_text(json.dumps([asdict(each) for each in points[1:]]))
    assert read_points([tmp_path / "one.json", tmp_path / "two.json"]) == points


@pytest.mark.parametrize("content", ["", "3", "[1]", '{"ranks": 1}', '{"rank": 1}'])
def test_other_files_are_refused_by_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "points.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"points.json: holds no measured points"):
        read_points([path])
    with pytest.raises(ConfigError, match=r"none.json"):
        read_points([tmp_path / "none.json"])
