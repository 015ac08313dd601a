"""Training runs of a study: what they say together, and the files that are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hpcgan.errors import ConfigError
from hpcgan.scaling import table
from hpcgan.scaling.quality import compare, read_quality
from hpcgan.scaling.runs import read_runs
from hpcgan.scaling.summary import summarize
from tests.scaling.made import learnt, made, write, write_quality

# One rank reaches 800 images in 20 s, two reach 1,000 in 10 s.
ONE = learnt("weak", 1, (0, 0.0, 90.0), (400, 10.0, 30.0), (800, 20.0, 10.0))
TWO = learnt("weak", 2, (0, 0.0, 90.0), (500, 5.0, 50.0), (1000, 10.0, 20.0))


def test_runs_are_compared_at_what_all_have_reached() -> None:
    found = compare([TWO, ONE])["weak"]
    assert (found.images, found.seconds) == (800, 10.0)
    assert found.at_equal_images(1) == 10
    assert found.at_equal_images(2) == pytest.approx(50 - 30 * 300 / 500)
    assert found.at_equal_time(1) == 30
    assert found.at_equal_time(2) == 20
    assert found.at_equal_time(4) is None


def test_of_several_runs_the_median_counts() -> None:
    others = [learnt("weak", 1, (0, 0.0, 90.0), (800, 10.0, last)) for last in (12.0, 20.0)]
    found = compare([ONE, *others])["weak"]
    assert found.at_equal_images(1) == 12


def test_kinds_are_compared_apart() -> None:
    strong = learnt("strong", 4, (0, 0.0, 90.0), (80, 1.0, 60.0))
    found = compare([ONE, strong])
    assert (found["weak"].images, found["strong"].images) == (800, 80)


def test_the_table_has_both_distances() -> None:
    rows = summarize([made(), made(ranks=2), made(ranks=4)], [ONE, TWO])
    assert table.headings(rows[0])[-2:] == ("Fréchet at 800 images", "Fréchet at 10 s")
    assert [table.cells(row)[-2:] for row in rows] == [["10", "30"], ["32", "20"], ["-", "-"]]
    lines = table.to_csv(rows).splitlines()
    assert [line.split(",")[-4:] for line in lines] == [
        ["equal_images", "frechet_at_equal_images", "equal_seconds", "frechet_at_equal_seconds"],
        ["800", "10", "10", "30"],
        ["800", "32", "10", "20"],
        ["800", "", "10", ""],
    ]


def test_files_come_back_as_they_were(tmp_path: Path) -> None:
    write(tmp_path, made())
    assert read_quality(tmp_path, read_runs(tmp_path)) == []
    write_quality(tmp_path, ONE, TWO)
    assert read_quality(tmp_path, read_runs(tmp_path)) == [ONE, TWO]


def test_another_configuration_is_refused(tmp_path: Path) -> None:
    write(tmp_path, made())
    write_quality(tmp_path, replace(ONE, config={**ONE.config, "name": "other"}))
    with pytest.raises(ConfigError, match=r"weak-1-0\.json .*different configurations .*name"):
        read_quality(tmp_path, read_runs(tmp_path))


def test_training_runs_of_a_kind_that_was_not_timed_have_one_configuration(tmp_path: Path) -> None:
    write(tmp_path, made())
    strong = learnt("strong", 4, (0, 0.0, 90.0))
    write_quality(tmp_path, strong, strong)
    assert read_quality(tmp_path, read_runs(tmp_path)) == [strong, strong]
    write_quality(tmp_path, strong, replace(strong, config={**strong.config, "name": "other"}))
    with pytest.raises(ConfigError, match=r"strong-4-1\.json .*different configurations .*name"):
        read_quality(tmp_path, read_runs(tmp_path))


@pytest.mark.parametrize(
    "change",
    [
        {"marks": []},
        {"hosts": []},
        {"kind": "other"},
        {"marks": [{"images": 1, "seconds": 0.0, "frechet": -1.0}]},
        {"marks": [{"images": 1, "seconds": float("nan"), "frechet": 1.0}]},
        {"marks": [{"images": 1}]},
    ],
)
def test_what_no_training_gives_is_refused(tmp_path: Path, change: dict) -> None:
    write(tmp_path, made())
    write_quality(tmp_path, ONE)
    path = tmp_path / "quality" / "weak-1-0.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ConfigError, match=r"is no training run of a study: .*take it away"):
        read_quality(tmp_path, read_runs(tmp_path))
