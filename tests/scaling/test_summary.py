"""Medians, intervals and ratios over the starts of a study."""

from __future__ import annotations

import math

import pytest

from hpcgan.scaling.summary import compare, estimate, measured_points, summarize, warnings
from tests.scaling.made import made, traffic, trained

# One rank reaches 800 images in 20 s, two reach 1,000 in 10 s.
ONE = trained("weak", 1, (0, 0.0, 90.0), (400, 10.0, 30.0), (800, 20.0, 10.0))
TWO = trained("weak", 2, (0, 0.0, 90.0), (500, 5.0, 50.0), (1000, 10.0, 20.0))


def test_the_interval_is_students_t_of_the_logarithms() -> None:
    # Logarithms -1, 0 and 1 times log 2: mean 0, standard error log 2 / sqrt(3), t(2) = 4.302653.
    found = estimate([1.0, 0.5, 2.0])
    half = 4.302653 * math.log(2) / math.sqrt(3)
    assert found.value == 1.0
    assert found.low == pytest.approx(math.exp(-half), rel=1e-6)
    assert found.high == pytest.approx(math.exp(half), rel=1e-6)


def test_the_interval_of_a_ratio_is_welchs() -> None:
    # Equal variances and numbers: 2 + 2 degrees of freedom, t = 2.776445.
    found = estimate([2.0, 4.0, 8.0], [5.0, 2.5, 10.0])
    half = 2.776445 * math.log(2) * math.sqrt(2 / 3)
    assert found.value == 0.8
    assert found.low == pytest.approx(0.8 * math.exp(-half), rel=1e-6)
    assert found.high == pytest.approx(0.8 * math.exp(half), rel=1e-6)


def test_one_start_has_no_interval_and_equal_ones_a_point() -> None:
    assert estimate([3.0]).low is None
    assert estimate([3.0, 4.0], [1.0]).high is None
    equal = estimate([3.0, 3.0])
    assert (equal.low, equal.value, equal.high) == (3.0, 3.0, 3.0)


def test_rows_of_a_weak_and_a_strong_study() -> None:
    runs = [
        made("strong", 2, step=0.25, baseline=0.2),
        made("strong", 1, step=0.4, baseline=0.4),
        made("weak", 4, step=0.2, baseline=0.1, nodes=2),
        *(made("weak", 2, step=step, baseline=0.1) for step in (0.125, 0.1, 0.2)),
        made("weak", 1, step=0.1),
    ]
    rows = summarize(runs)
    assert [(row.kind, row.ranks, row.nodes, len(row.runs)) for row in rows] == [
        ("weak", 1, 1, 1),
        ("weak", 2, 1, 3),
        ("weak", 4, 2, 1),
        ("strong", 1, 1, 1),
        ("strong", 2, 1, 1),
    ]
    assert [row.estimates["speed_up"].value for row in rows] == pytest.approx([1, 1.6, 2, 1, 1.6])
    assert [row.estimates["efficiency"].value for row in rows] == pytest.approx(
        [1, 0.8, 0.5, 1, 0.8]
    )
    assert [row.estimates["baseline_efficiency"].value for row in rows] == pytest.approx(
        [1, 0.8, 0.5, 1, 0.8]
    )
    assert [row.estimates["images_per_second_per_rank"].value for row in rows] == pytest.approx(
        [80, 64, 40, 80, 64]
    )
    assert rows[1].parts == pytest.approx(
        {"compute": 90, "input": 10, "waiting": 0, "exchange": 25}
    )
    assert rows[2].slowest == "rank 0 on node0"


def test_the_slowest_rank_is_that_of_most_starts() -> None:
    limits = ([0.2, 0.1], [0.1, 0.2], [0.1, 0.2])
    (row,) = summarize([made(ranks=2, baseline=each, nodes=2) for each in limits])
    assert row.slowest == "rank 1 on node1"


def test_efficiency_is_relative_to_the_smallest_number_of_ranks() -> None:
    rows = summarize([made(ranks=2, step=0.1), made(ranks=4, step=0.125)])
    assert [row.estimates["speed_up"].value for row in rows] == pytest.approx([2, 3.2])
    assert [row.estimates["efficiency"].value for row in rows] == pytest.approx([1, 0.8])


def test_the_same_ranks_on_other_nodes_are_another_row() -> None:
    rows = summarize([made(ranks=2), made(ranks=2, nodes=2)])
    assert [row.nodes for row in rows] == [1, 2]


def test_what_a_reader_must_know() -> None:
    runs = [
        made(),
        made(),
        made(ranks=2, oversubscribed=True, cores=[1, 1], skipped=3),
        made("strong", 3, images=32, samples=16),
    ]
    found = "\n".join(warnings(summarize(runs)))
    assert "weak, 1 rank:" not in found
    assert "weak, 2 ranks: more ranks than cores" in found
    assert "weak, 2 ranks: started once" in found
    assert "weak, 2 ranks: some updates were left out" in found
    assert "strong, 3 ranks: ranks or nodes have unequal shares" in found
    assert "not all ranks had the same number of cores" in found
    assert "versions" not in found
    other = made(versions={"hpcgan": "0.2.0"})
    assert "not all runs had the same versions of the programs" in warnings(
        summarize([made(), other])
    )


def test_one_rank_that_differs_from_itself_shows_a_disturbed_machine() -> None:
    (found,) = warnings(summarize([made(step=0.1, baseline=0.12)] * 2))
    assert found.startswith(
        "weak, 1 rank: with and without exchange are the same there, and differ by 20%"
    )


def test_ranks_that_beat_their_baseline_show_a_disturbed_machine() -> None:
    (found,) = warnings(summarize([made(ranks=2, step=0.1, baseline=0.12)] * 2))
    assert found.startswith("weak, 2 ranks: 120% of the no-communication baseline cannot be: ")
    assert warnings(summarize([made(ranks=2, step=0.1, baseline=0.104)] * 2)) == []


def test_points_of_the_model() -> None:
    runs = [made(), made(ranks=2, step=0.25, baseline=[0.1, 0.2]), made("strong", 3, samples=16)]
    single, double = measured_points(summarize(runs))
    assert (single.ranks, single.step_seconds) == (1, pytest.approx(0.1))
    assert (double.ranks, double.nodes, double.samples) == (2, 1, 8)
    assert double.limit_seconds == pytest.approx(0.15)
    assert double.step_seconds == pytest.approx(0.25)
    assert double.gradient_bytes == 4000
    assert double.compute_seconds == pytest.approx((0.09, 0.11, 0.18, 0.22))


def test_a_point_has_the_compute_times_of_all_starts_and_what_a_step_exchanges() -> None:
    starts = [made(ranks=2, baseline=limit, traffic=traffic(exchanges=3)) for limit in (0.1, 0.2)]
    (point,) = measured_points(summarize(starts))
    assert point.exchanges == 3
    assert point.compute_seconds == pytest.approx((0.09, 0.11, 0.09, 0.11, 0.18, 0.22, 0.18, 0.22))


def test_one_start_with_unequal_shares_leaves_its_row_out_of_the_model() -> None:
    uneven = made(ranks=2, samples=9)
    assert measured_points(summarize([made(ranks=2), uneven])) == []


def test_runs_are_compared_at_what_all_have_reached() -> None:
    found = compare([TWO, ONE])["weak"]
    assert (found.images, found.seconds) == (800, 10.0)
    assert found.distances(1) == (10, 30)
    assert found.distances(2) == pytest.approx((50 - 30 * 300 / 500, 20))
    assert found.distances(4) is None


def test_of_several_runs_the_median_counts() -> None:
    others = [trained("weak", 1, (0, 0.0, 90.0), (800, 10.0, last)) for last in (12.0, 20.0)]
    found = compare([ONE, *others])["weak"]
    assert found.distances(1) == (12, 20)


def test_kinds_are_compared_apart() -> None:
    strong = trained("strong", 4, (0, 0.0, 90.0), (80, 1.0, 60.0))
    found = compare([ONE, strong])
    assert (found["weak"].images, found["strong"].images) == (800, 80)
