"""The whole of ``predict``: curves, tables, pictures and what is refused."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from hpcgan.errors import ConfigError
from hpcgan.scaling.draw_prediction import picture
from hpcgan.scaling.model import Link, Machine, Work, step
from hpcgan.scaling.points import Point
from hpcgan.scaling.predict import predict, text

MACHINE = Machine(Link(1e-4, 1e9, trips=3, eager=65536), Link(1e-6, 5e9), ranks_per_node=4)
WORK = Work(
    samples=64,
    compute_fixed=0.01,
    compute_per_sample=1e-3,
    gradient_bytes=4e6,
    overhead=1e-3,
    negotiations=1.5,
)
SIZES = (1, 4, 16, 256, 100_000)
LINK = {"between": MACHINE.between}


def points(samples: dict[int, int]) -> list[Point]:
    """Return what would be measured on one node, with a batch for each number of ranks."""
    return [
        Point(
            ranks=ranks,
            nodes=1,
            samples=batch,
            gradient_bytes=WORK.gradient_bytes,
            step_seconds=step(MACHINE, replace(WORK, samples=batch), ranks).total,
            limit_seconds=replace(WORK, samples=batch).compute,
            compute_seconds=(1.0, 1.0),
        )
        for ranks, batch in samples.items()
    ]


WEAK = points({1: 64, 2: 64, 4: 64})
STRONG = points({1: 128, 2: 64, 4: 32})


def test_a_weak_curve_is_that_of_the_model() -> None:
    found = predict(WEAK, SIZES, machine=LINK)
    for row in found.rows:
        true = step(MACHINE, WORK, row.ranks)
        assert row.step.total == pytest.approx(true.total, rel=1e-3)
        assert row.efficiency == pytest.approx(true.compute / true.total, rel=1e-3)
        assert row.samples == 64
        assert row.samples_per_second == pytest.approx(64 * row.ranks / true.total, rel=1e-3)
    assert [row.nodes for row in found.rows] == [1, 1, 4, 64, 25_000]
    assert [ranks for ranks, _ in found.measured] == [1, 2, 4]


def test_a_strong_curve_divides_the_batch() -> None:
    found = predict([*WEAK, *STRONG], (1, 2, 8, 128), "strong", machine=LINK)
    alone = step(MACHINE, replace(WORK, samples=128), 1).total
    for row in found.rows:
        true = step(MACHINE, replace(WORK, samples=128 / row.ranks), row.ranks)
        assert row.step.total == pytest.approx(true.total, rel=1e-2)
        assert row.efficiency == pytest.approx(alone / row.ranks / true.total, rel=1e-2)
    assert found.rows[0].efficiency == pytest.approx(1)
    assert [row.samples for row in found.rows] == [128, 64, 16, 1]
    # The weak point of 2 ranks with 64 samples each has the same global batch.
    assert [ranks for ranks, _ in found.measured] == [2, 1, 2, 4]


def test_drawn_steps_stand_beside_the_expected_ones() -> None:
    given = {"variation": 0.1, "checkpoint_bytes": 1e7, "checkpoint_every": 500}
    found = predict(WEAK, SIZES, machine={**LINK, "checkpoint_bandwidth": 1e8}, work=given)
    for row in found.rows:
        assert row.step.checkpoint == pytest.approx(0.1 / 500)
        assert row.simulated == pytest.approx(row.step.total, rel=0.03)


def test_what_is_given_replaces_what_was_measured() -> None:
    slow_files = {**LINK, "file_system_bandwidth": 1e9}
    found = predict(WEAK, SIZES, machine=slow_files, work={"sample_bytes": 1e5})
    assert found.rows[0].step.bottleneck == "compute"
    assert found.rows[-1].step.bottleneck == "input"


def test_the_table_names_the_bottleneck_of_each_size() -> None:
    lines = text(predict(WEAK, SIZES, machine=LINK)).splitlines()
    assert lines[0].startswith("fitted to 3 points, at most 0.0% off them: overhead 0.001")
    assert len(lines) == 3 + len(SIZES)
    assert [line.split()[-1] for line in lines[3:]] == ["compute"] + ["exchange"] * 4


def test_curves_are_drawn() -> None:
    weak = predict(WEAK, SIZES, machine=LINK)
    strong = predict([*WEAK, *STRONG], (1, 2, 8), "strong", machine=LINK)
    two = picture([weak, strong])
    assert two.startswith(b"\x89PNG")
    # Width and height, the first numbers of a PNG file: a line of curves for each.
    width, height = struct.unpack(">II", two[16:24])
    assert struct.unpack(">II", picture([weak])[16:24]) == (width, height // 2)


def test_nodes_without_a_link_between_them_are_refused() -> None:
    with pytest.raises(ConfigError, match="give the link between nodes"):
        predict(WEAK, (1, 8))


def test_a_strong_curve_from_one_batch_is_refused() -> None:
    with pytest.raises(ConfigError, match="one batch a rank"):
        predict(WEAK, (1, 2), "strong", 128)


def test_more_ranks_than_samples_are_refused() -> None:
    with pytest.raises(ConfigError, match="256 ranks cannot share a batch of 128"):
        predict(STRONG, (1, 256), "strong", 128, machine=LINK)


def test_no_common_batch_is_refused() -> None:
    different = points({1: 64, 2: 16, 4: 64})
    with pytest.raises(ConfigError, match="share no one global batch"):
        predict(different, (1, 2), "strong")
