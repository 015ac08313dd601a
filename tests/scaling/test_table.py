"""The table of a study, for people and as CSV."""

from __future__ import annotations

import csv
import io
import math

import pytest

from hpcgan.scaling import table
from hpcgan.scaling.summary import summarize
from tests.scaling.made import made, trained


def test_the_csv_has_exact_values() -> None:
    runs = [made(), made(ranks=2, step=0.125, baseline=0.1125, oversubscribed=True)]
    first, second = csv.DictReader(io.StringIO(table.to_csv(summarize(runs))))
    assert first["speed_up"] == "1"
    assert second == {
        "kind": "weak",
        "ranks": "2",
        "nodes": "1",
        "starts": "1",
        "oversubscribed": "1",
        "step_ms": "125",
        "step_ms_low": "",
        "step_ms_high": "",
        "images_per_second": "128",
        "images_per_second_low": "",
        "images_per_second_high": "",
        "images_per_second_per_rank": "64",
        "images_per_second_per_rank_low": "",
        "images_per_second_per_rank_high": "",
        "speed_up": "1.6",
        "speed_up_low": "",
        "speed_up_high": "",
        "efficiency": "0.8",
        "efficiency_low": "",
        "efficiency_high": "",
        "baseline_efficiency": "0.9",
        "baseline_efficiency_low": "",
        "baseline_efficiency_high": "",
        "compute_ms": "101.25",
        "input_ms": "11.25",
        "waiting_ms": "0",
        "exchange_ms": "12.5",
        "slowest": "rank 0 on node0",
        "equal_images": "",
        "frechet_at_equal_images": "",
        "equal_seconds": "",
        "frechet_at_equal_seconds": "",
    }


def test_bounds_of_intervals_stand_in_their_places() -> None:
    # Half an interval, in logarithms, with two starts: 12.7062 times half their difference.
    runs = [made(step=0.1), made(step=0.1), made(ranks=2, step=0.1), made(ranks=2, step=0.121)]
    rows = summarize(runs)
    half = 12.7062 * math.log(1.21) / 2
    middle = 100 * 1.1
    (_, line) = csv.DictReader(io.StringIO(table.to_csv(rows)))
    assert float(line["step_ms"]) == pytest.approx(110.5)
    assert float(line["step_ms_low"]) == pytest.approx(middle * math.exp(-half), rel=1e-4)
    assert float(line["step_ms_high"]) == pytest.approx(middle * math.exp(half), rel=1e-4)
    low, high = middle * math.exp(-half), middle * math.exp(half)
    assert table.cells(rows[1])[3] == ["110", f"{low:.0f}", f"{high:.0f}"]
    assert f"  110 [{low:.0f}, {high:.0f}]  " in table.text(rows)


def test_a_wide_interval_has_whole_numbers() -> None:
    (row,) = summarize([made(step=0.09), made(step=0.1)])
    value, low, high = table.cells(row)[3]
    assert (value, float(low), float(high)) == ("95", round(float(low)), round(float(high)))
    assert float(high) > 100


def test_the_table_marks_more_ranks_than_cores() -> None:
    runs = [made(), made(ranks=2, step=0.125, baseline=0.1125, oversubscribed=True)]
    lines = table.text(summarize(runs)).splitlines()
    assert lines[1].split()[:4] == ["ranks", "nodes", "starts", "ms/step"]
    assert lines[3].split()[:4] == ["2*", "1", "1", "125"]
    parts = ["101", "11.2", "0.00", "12.5"]
    assert lines[3].split()[4:] == ["128", "64.0", "1.60", "80.0%", "90.0%", *parts]


def test_the_table_has_both_distances() -> None:
    one = trained("weak", 1, (0, 0.0, 90.0), (400, 10.0, 30.0), (800, 20.0, 10.0))
    two = trained("weak", 2, (0, 0.0, 90.0), (500, 5.0, 50.0), (1000, 10.0, 20.0))
    rows = summarize([made(), made(ranks=2), made(ranks=4)], [one, two])
    assert table.headings(rows[0])[-2:] == ["Fréchet at 800 images", "Fréchet at 10 s"]
    assert [table.cells(row)[-2:] for row in rows] == [
        [["10"], ["30"]],
        [["32"], ["20"]],
        [["-"], ["-"]],
    ]
    lines = table.to_csv(rows).splitlines()
    assert [line.split(",")[-4:] for line in lines] == [
        ["equal_images", "frechet_at_equal_images", "equal_seconds", "frechet_at_equal_seconds"],
        ["800", "10", "10", "30"],
        ["800", "32", "10", "20"],
        ["800", "", "10", ""],
    ]
