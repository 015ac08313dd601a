"""The whole of ``hpcgan scale predict``: curves, tables, pictures and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hpcgan.errors import ConfigError, RunError
from hpcgan.scaling import predict, report
from hpcgan.scaling.fit import Point
from hpcgan.scaling.model import Model
from hpcgan.scaling.predict import noise_scale, strong, text, weak
from tests.scaling.made import made, write

MODEL = Model(
    samples=64,
    compute_fixed=0.01,
    compute_per_sample=1e-3,
    gradient_bytes=4e6,
    overhead=1e-3,
    ranks_per_node=4,
    within_bandwidth=5e9,
    between_latency=1e-4,
    between_bandwidth=1e9,
)
SIZES = (1, 4, 16, 256, 100_000)
LINK = (1e-5, 1e9)
MADE_WEAK = [
    made(ranks=ranks, step=step * factor, baseline=0.1)
    for ranks, step in ((1, 0.1), (2, 0.11), (4, 0.125))
    for factor in (1.0, 1.02)
]
MADE_STRONG = [
    made("strong", ranks, step=step, baseline=baseline)
    for ranks, step, baseline in ((1, 0.4, 0.4), (2, 0.21, 0.2), (4, 0.125, 0.1))
]


def points(samples: dict[int, int]) -> list[Point]:
    """Return what would be measured on one node, with a batch for each number of ranks."""
    models = {ranks: replace(MODEL, samples=batch) for ranks, batch in samples.items()}
    return [
        Point(
            ranks=ranks,
            nodes=1,
            samples=samples[ranks],
            gradient_bytes=model.gradient_bytes,
            exchanges=1,
            step_seconds=model.step(ranks).total,
            limit_seconds=model.compute,
            compute_seconds=[1.0, 1.0],
        )
        for ranks, model in models.items()
    ]


WEAK = points({1: 64, 2: 64, 4: 64})
STRONG = points({1: 128, 2: 64, 4: 32})


def test_a_weak_curve_is_that_of_the_model() -> None:
    found = weak(MODEL, [*WEAK, *STRONG], SIZES, 64)
    for row in found.rows:
        true = MODEL.step(row.ranks)
        assert row.step == true
        assert row.efficiency == pytest.approx(true.compute / true.total)
        assert row.samples == 64
    assert [row.nodes for row in found.rows] == [1, 1, 4, 64, 25_000]
    # The strong point of 2 ranks has 64 samples per rank, too.
    assert [ranks for ranks, _ in found.measured] == [1, 2, 4, 2]
    for ranks, efficiency in found.measured:
        assert efficiency == pytest.approx(MODEL.compute / MODEL.step(ranks).total)


def test_a_weak_curve_multiplies_by_the_noise_of_the_gradients() -> None:
    runs = [made(ranks=1), made(ranks=2, noise_scale_d=320.0, noise_scale_g=1e4)]
    runs += [made("strong", 4, noise_scale_d=1.0), made(ranks=4, noise_scale_d=80.0)]
    scale = noise_scale(runs)
    assert scale == pytest.approx(160)  # of D, the smaller one: the geometric mean
    one, four = weak(MODEL, WEAK, (1, 4), 64, scale).rows
    assert (one.steps, one.sooner) == (1, 1)
    expected = (1 + 160 / 256) / (1 + 160 / 64)
    assert four.steps == pytest.approx(expected)
    assert four.sooner == pytest.approx(one.step.total / four.step.total / expected)
    assert "efficiency  steps  sooner  bottleneck" in text(weak(MODEL, WEAK, (1, 4), 64, scale))
    assert noise_scale([made(), made("strong", 4, noise_scale_d=1.0)]) is None
    assert "sooner" not in text(weak(MODEL, WEAK, (1, 4), 64))


def test_a_strong_curve_divides_the_batch() -> None:
    found = strong(MODEL, [*WEAK, *STRONG], (1, 2, 8, 128), 128)
    alone = replace(MODEL, samples=128).step(1).total
    for row in found.rows:
        true = replace(MODEL, samples=128 / row.ranks).step(row.ranks)
        assert row.step == true
        assert row.efficiency == pytest.approx(alone / row.ranks / true.total)
    assert found.rows[0].efficiency == pytest.approx(1)
    assert [row.samples for row in found.rows] == [128, 64, 16, 1]
    # The weak point of 2 ranks with 64 samples each has the same global batch.
    assert [ranks for ranks, _ in found.measured] == [2, 1, 2, 4]
    assert found.measured[1][1] == pytest.approx(1)


def test_the_table_names_the_bottleneck_of_each_size() -> None:
    title, headings, *lines = text(weak(MODEL, WEAK, SIZES, 64)).splitlines()
    assert title.startswith("weak scaling, milliseconds per step")
    assert len(headings.split()) == 10
    assert [line.split()[-1] for line in lines] == ["compute"] + ["exchange"] * 4
    cells = dict(zip(headings.split(), lines[2].split(), strict=True))
    true = MODEL.step(16)
    assert (cells["ranks"], cells["nodes"], cells["samples"]) == ("16", "4", "64")
    assert float(cells["exchange"]) == pytest.approx(1e3 * true.exchange, abs=0.01)
    assert float(cells["step"]) == pytest.approx(1e3 * true.total, abs=0.01)
    assert float(cells["samples/s"]) == pytest.approx(16 * 64 / true.total, rel=1e-3)


def test_both_kinds_of_a_study_are_predicted(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write(tmp_path, *MADE_WEAK, *MADE_STRONG)
    report.write(tmp_path)
    capsys.readouterr()
    predict.write(tmp_path, [1, 4, 32, 1000], tmp_path / "new", LINK)
    printed = capsys.readouterr().out
    assert printed.count("fitted to 6 points, largest error ") == 1
    assert "strong scaling: at most 32 ranks can share a batch of 32 samples\n" in printed
    of_weak = printed[printed.index("weak scaling, ") : printed.index("strong scaling, ")]
    assert [line.split()[2] for line in of_weak.splitlines()[2:6]] == ["8"] * 4  # samples per rank
    of_strong = printed[printed.index("strong scaling, ") :]
    assert [line.split()[2] for line in of_strong.splitlines()[2:5]] == ["32", "8", "1"]
    assert (tmp_path / "new/predict.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "new/predict.txt").read_text() in printed


def test_the_link_that_is_given_takes_the_place_of_the_measured_one(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    runs = [made(ranks=n, nodes=n, step=0.1 + 0.001 * n) for n in (2, 4, 8)]
    write(tmp_path, made(), *runs)
    report.write(tmp_path)
    steps = []
    for link in (None, (1e-3, 1e9), (2e-3, 1e9)):
        predict.write(tmp_path, [100], tmp_path, link)
        line = capsys.readouterr().out.splitlines()[-2]
        steps.append(float(line.split()[6]))
    # 198 hops and 7 negotiations, one and a half times.
    assert steps[2] - steps[1] == pytest.approx(198 + 10.5, abs=0.02)
    assert steps[0] != pytest.approx(steps[1], rel=0.1)


def test_nothing_is_predicted_without_a_report_or_a_link(tmp_path: Path) -> None:
    write(tmp_path, *MADE_WEAK)
    with pytest.raises(ConfigError, match=r"points\.json: .*make it with hpcgan scale report"):
        predict.write(tmp_path, [8], tmp_path, None)
    report.write(tmp_path)
    with pytest.raises(ConfigError, match=r"give the link between nodes \(--link\)"):
        predict.write(tmp_path, [8], tmp_path, None)


def test_a_strong_curve_from_one_batch_is_refused(tmp_path: Path) -> None:
    uneven = made("strong", 3, samples=16)
    write(tmp_path, *MADE_WEAK, uneven)
    report.write(tmp_path)
    with pytest.raises(ConfigError, match="all points had one batch per rank"):
        predict.write(tmp_path, [2], tmp_path, None)


def test_more_ranks_than_samples_are_refused(tmp_path: Path) -> None:
    write(tmp_path, *MADE_STRONG)
    report.write(tmp_path)
    with pytest.raises(ConfigError, match=r"--sizes: give numbers of ranks up to 32"):
        predict.write(tmp_path, [33, 64], tmp_path, LINK)


def test_curves_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    write(tmp_path, *MADE_WEAK)
    report.write(tmp_path)
    (tmp_path / "predict.png.partial").mkdir()  # in the way
    with pytest.raises(RunError, match=r"predict\.png: cannot be written"):
        predict.write(tmp_path, [8], tmp_path, LINK)


def test_too_few_points_are_refused(tmp_path: Path) -> None:
    write(tmp_path, *MADE_WEAK[:4])
    report.write(tmp_path)
    with pytest.raises(ConfigError, match=r"2 unknowns .* 1 points with more than one rank"):
        predict.write(tmp_path, [2], tmp_path, None)


def test_split_divides_its_images_between_the_ranks_of_the_smaller_group() -> None:
    model = replace(MODEL, exchanges=0, gradient_bytes=0, hand_over_bytes=1e6, hand_overs=1)
    split = replace(model, batch_share=0.25, samples=64)
    (row,) = weak(split, [], [8], 64).rows
    assert row.images == 2 * 64
    assert row.efficiency == pytest.approx(split.compute / split.step(8).total)
    (row,) = strong(split, [], [8], 128).rows
    assert row.samples == 64
    alone = replace(split, samples=128).compute
    assert row.efficiency == pytest.approx(alone / 2 / split.step(8).total)
    line = text(strong(split, [], [8], 128)).splitlines()[-1].split()
    assert float(line[-3]) == pytest.approx(128 / split.step(8).total, rel=1e-3)
