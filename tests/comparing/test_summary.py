"""What the starts of a comparison say together, against values worked out by hand."""

from __future__ import annotations

import math

import pytest

from hpcgan.comparing import report, summary
from hpcgan.comparing.kept import Pace, Point, Start
from hpcgan.comparing.summary import Against, Row, at, best, cost_to
from hpcgan.comparing.ways import Way
from hpcgan.config import Config, DataConfig
from hpcgan.scaling.summary import Estimate

CONFIG = Config(DataConfig(["a.h5"]))


def _points(*reached: tuple[float, int, float | None], seed: int = 0) -> list[Point]:
    """Return points of (rank-seconds, images, distance)."""
    return [Point(seed, *each, step=i + 1) for i, each in enumerate(reached)]


def _start(*reached: tuple[float, int, float | None], **facts: object) -> Start:
    return Start(_points(*reached), 0.5, "pca64", 100, **facts)


def _pace(steps: int = 10) -> Pace:
    return Pace("", 2, 10.0, steps, 0.5, 100.0, None, False)


def _summarized(starts: dict[str, dict[int, Start]]) -> summary.Summary:
    ways = [Way(name, CONFIG) for name in starts]
    found = summary.summarize(ways, {name: _pace() for name in starts}, starts)
    assert found is not None
    return found


def test_distances_are_linear_between_points() -> None:
    points = _points((2, 10, 8.0), (4, 30, 4.0))
    assert at(points, "rank_seconds", 3) == 6
    assert at(points, "images", 15) == 7


def test_a_target_is_reached_where_the_next_point_confirms_it() -> None:
    points = _points((2, 1, 8.0), (4, 2, 3.0), (6, 3, 5.0), (8, 4, 3.0), (10, 5, 2.0))
    assert cost_to(points, 4.0) == 7  # not at 4, which the next point takes back
    assert cost_to(points, 2.0) == 10
    assert cost_to(points, 1.0) == math.inf
    assert cost_to(points, 9.0) == 2


def test_ways_are_compared_at_what_all_have_used() -> None:
    found = _summarized(
        {
            "synchronous": {0: _start((5, 100, 8.0), (10, 200, 4.0))},
            "other": {0: _start((4, 150, 6.0), (8, 300, 2.0), taken_bytes=400)},
        }
    )
    assert (found.common.rank_seconds, found.common.images) == (8, 200)
    assert found.common.target == pytest.approx(5.6)  # 8 - 4 * 3/5
    first, other = found.rows
    assert first.against == []
    assert (first.frechet, first.frechet_at_images) == (pytest.approx(5.6), 4)
    assert other.frechet == 2
    assert other.frechet_at_images == pytest.approx(6 - 4 / 3)
    assert other.to_target == pytest.approx(4.4)  # from 6 at 4 to 2 at 8
    assert other.images_per_rank_second == 37.5
    assert other.bytes_per_step == 100 + 400 / 2 / 10
    ratio = other.against[0].ratio
    assert ratio == Estimate(pytest.approx(2 / 5.6))
    assert other.against[0].verdict == "no interval"


def test_a_way_with_more_images_at_its_first_point_has_no_figure_at_equal_images() -> None:
    found = _summarized(
        {
            "synchronous": {0: _start((5, 100, 8.0), (10, 200, 4.0))},
            "large": {0: _start((5, 300, 8.0), (10, 600, 4.0))},
        }
    )
    assert math.isnan(found.rows[1].frechet_at_images)


def test_ratios_are_paired_by_seed_with_students_interval() -> None:
    # Ratios 1/2, 1/4 and 1/8: logarithms of 2 to -1, -2, -3, whose mean is -2, and their standard
    # error 1/sqrt(3); t of 2 degrees of freedom is 4.3027.
    found = summary.against({0: 4.0, 1: 2.0, 2: 3.0, 3: 7.0}, {0: 8.0, 1: 8.0, 2: 24.0}, "a")
    assert found.ratio is not None
    half = 4.302653 / math.sqrt(3)
    assert found.ratio.value == 0.25
    assert found.ratio.low == pytest.approx(2 ** (-2 - half), rel=1e-5)
    assert found.ratio.high == pytest.approx(2 ** (-2 + half), rel=1e-5)
    assert found.verdict == "no difference shown"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.5, 0.9, "better"),
        (1.1, 1.5, "worse"),
        (0.9, 1.0, "no difference shown"),
        (1.0, 1.1, "no difference shown"),
    ],
)
def test_a_verdict_needs_an_interval_without_1(low: float, high: float, verdict: str) -> None:
    assert Against("a", Estimate(1.0, low, high)).verdict == verdict


def test_the_best_way_is_better_than_each_other_one() -> None:
    near, far = {0: 1.0, 1: 1.1}, {0: 9.0, 1: 9.9}
    assert best({"a": far, "b": near}) == "b"
    assert best({"a": far, "b": near, "c": {0: 1.0, 1: 1.1}}) is None
    assert best({"a": far, "b": {0: 1.0}}) is None  # it has diverged with seed 1
    assert best({"a": far}) is None


def test_a_start_that_has_diverged_counts_as_one_that_never_reaches_the_target() -> None:
    whole = _start((5, 100, 8.0), (10, 200, 4.0))
    found = _summarized(
        {
            "synchronous": {0: whole, 1: whole},
            "unstable": {0: whole, 1: _start((5, 100, None), (10, 200, 4.0))},
            "ended": {0: _start((5, 100, 8.0), ended="not finite"), 1: _start(ended="not finite")},
        }
    )
    _, unstable, ended = found.rows
    assert (unstable.diverged, unstable.reached, unstable.to_target) == (1, 1, math.inf)
    assert (ended.diverged, ended.reached) == (2, 0)
    assert ended.against[0].ratio is None
    assert "1 of 2 diverged" in report.cells(unstable)[3]
    assert report.cells(ended)[1] == "-"


def test_without_a_synchronous_start_there_is_no_summary() -> None:
    ways = [Way("synchronous", CONFIG), Way("b", CONFIG)]
    starts = {"synchronous": {}, "b": {0: _start((1, 1, 1.0))}}
    assert summary.summarize(ways, {"synchronous": _pace(), "b": _pace()}, starts) is None


def test_a_line_of_the_table() -> None:
    against = [Against("synchronous", Estimate(0.5, 0.4, 0.6))]
    row = Row(Way("w", CONFIG, True), 5, 0, 10, 1234.5, 10.4, 3.14159, math.nan, 20.0, 4, against)
    assert report.cells(row) == [
        *("w*", "3.14", "0.50 (0.40 to 0.60)", "better"),
        *("-", "20 (4 of 5)", "1234", "10"),
    ]
