"""What the ranks of a start do, on the one of this process: paces, points, and what is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hpcgan.comparing import comparison, draw, start_run, subject
from hpcgan.comparing.kept import Point, Start, read_start
from hpcgan.comparing.parts import Parts, divided
from hpcgan.comparing.summary import Common
from hpcgan.config_file import load, to_yaml
from hpcgan.scaling.runs import read_json
from hpcgan.world import World


@pytest.fixture(autouse=True)
def _tensorflow_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests of this process have used TensorFlow, whose threads are then as they are."""
    monkeypatch.setattr(subject, "prepare_tensorflow", lambda world: None)
    monkeypatch.setattr("hpcgan.training.population.prepare_tensorflow", lambda world: None)


def _run(world: World, place: Path, parts: Parts, what: str, amount: str, *words: str) -> Path:
    """Do what a program of a comparison does; return the file that it writes."""
    place.mkdir()
    config = comparison.complete(load("config.yaml", list(words)), parts, 5, 32)
    (place / "config.yaml").write_text(to_yaml(config))
    given = [str(place / "config.yaml"), parts.report, str(place / "out.json"), what, amount]
    start_run.run(world, start_run.parse(given))
    return place / "out.json"


def test_a_population_is_evaluated_on_its_way(place: Path, world: World) -> None:
    parts = divided(world, load("config.yaml"), place / "parts")
    words = ["--parallel.population=2", "--tournament.every=8"]
    first = read_start(_run(world, place / "a", parts, "points", "32", *words))
    assert [point.step for point in first.points] == list(range(4, 33, 4))
    assert [point.images for point in first.points] == list(range(32, 257, 32))
    costs = [point.rank_seconds for point in first.points]
    assert costs == sorted(set(costs))
    assert costs[0] > 0
    assert {point.member for point in first.points} <= {0, 1}
    assert all(point.frechet for point in first.points)
    # Four tournaments of one pair, in each of which one takes a generator with its optimizer.
    assert first.taken_bytes == 4 * _bytes_of_a_take()
    assert first.floor > 0
    assert first.ended is None


def _bytes_of_a_take() -> int:
    """Return those of a generator of the configuration, both moments of Adam and its step."""
    weights = 4 * 128 + 128 + 128 * 128 + 128 + 128 * 16 + 16
    return 3 * 4 * weights + 8


def test_a_pace_is_of_one_run_and_of_what_it_sends(place: Path, world: World) -> None:
    parts = divided(world, load("config.yaml"), place / "parts")
    path = _run(world, place / "a", parts, "pace", "0.2")
    found: dict[str, Any] = read_json(path, "pace", dict, "")
    least = start_run.POINTS * (start_run.COMPILED + 1)  # some of the first point are timed
    assert found["steps"] == max(least, round(0.2 / found["step_seconds"]))
    assert found["bytes_per_step"] == 0  # one rank has nobody to send to
    assert found["generator_ranks"] is None


def test_of_several_gans_the_best_by_the_judging_part_counts() -> None:
    scores = [[3.0, 1.0], None, [2.0, 9.0], [None, 0.5]]
    found = start_run.best_of(scores, is_population=True)
    assert found == {"judged": 2.0, "frechet": 9.0, "member": 2}
    assert start_run.best_of([[4.0, 5.0]], is_population=False) == {
        "judged": 4.0,
        "frechet": 5.0,
        "member": None,
    }
    assert start_run.best_of([None, [None, 1.0]], is_population=True) == {"frechet": None}


def test_what_a_ring_sends() -> None:
    assert subject.sent_by_ring(100, 1) == 0
    assert subject.sent_by_ring(100, 4) == 150


def test_curves_are_a_picture() -> None:
    points = [Point(0, 1.0, 10, 9.0, 1), Point(0, 2.0, 20, 1.0, 2)]
    starts = {
        "a": {0: Start(points, 0.1, "pca7", 30)},
        "b": {0: Start([], 0.1, "pca7", 30, 0, "x")},
    }
    assert draw.curves(starts, 0.1, Common(2.0, 20, 1.0)).startswith(b"\x89PNG")
