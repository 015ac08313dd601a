"""Files of starts: what they hold, and which of them belong together."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hpcgan.errors import ConfigError
from hpcgan.scaling.runs import Segment, read_quality, read_runs
from tests.scaling.made import made, trained, write

ONE = trained("weak", 1, (0, 0.0, 90.0), (400, 10.0, 30.0), (800, 20.0, 10.0))
TWO = trained("weak", 2, (0, 0.0, 90.0), (500, 5.0, 50.0), (1000, 10.0, 20.0))


def test_the_parts_of_a_step() -> None:
    run = made(ranks=2, step=0.25, baseline=[0.1, 0.2])
    assert run.step == pytest.approx(0.25)
    assert run.baseline_step == pytest.approx(0.2)
    assert run.parts == pytest.approx(
        {"compute": 0.135, "input": 0.015, "waiting": 0.05, "exchange": 0.05}
    )
    assert sum(run.parts.values()) == pytest.approx(run.step)
    assert run.slowest_rank == 1


def test_a_disturbed_segment_does_not_count() -> None:
    run = made(step=0.1)
    run = replace(run, exchange=[*run.exchange, Segment(10, [99.0], [0.0])])
    assert run.step == pytest.approx(0.1)


def test_shares_are_even_where_ranks_have_as_many_samples_and_nodes_as_many_ranks() -> None:
    assert made("strong", 4, nodes=2).is_even
    assert not made("strong", 3, nodes=2, images=24, samples=8).is_even
    assert not made("strong", 3, images=32, samples=16).is_even


def test_an_exchange_never_takes_less_than_nothing() -> None:
    assert made(ranks=2, step=0.1, baseline=0.2).parts["exchange"] == 0


def test_files_come_back_as_they_were(tmp_path: Path) -> None:
    runs = [made(), made(ranks=2), made("strong", 4, nodes=2)]
    write(tmp_path, *runs)
    found = read_runs(tmp_path)
    assert sorted(found.values(), key=lambda run: run.ranks) == runs


def test_a_weak_study_varies_its_shards_and_nothing_else(tmp_path: Path) -> None:
    other = made(ranks=2)
    other.config["train"] = {"batch_size": 7}
    write(tmp_path, made(), other)
    with pytest.raises(
        ConfigError, match=r"weak-1-0\.json and .*weak-2-1\.json .*train\.batch_size: None -> 7"
    ):
        read_runs(tmp_path)


def test_a_strong_study_keeps_its_shards(tmp_path: Path) -> None:
    other = made("strong", 2)
    other.config["data"]["shards"] = 8
    write(tmp_path, made("strong"), other)
    with pytest.raises(ConfigError, match=r"data\.shards: 4 -> 8"):
        read_runs(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"exchange": [], "baseline": [{"steps": 1}]}'])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path, made())
    (tmp_path / "runs" / "a.json").write_text(text)
    with pytest.raises(ConfigError, match=r"a\.json: is no file of a study: .*; move it away"):
        read_runs(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"baseline": []},
        {"hosts": []},
        {"kind": "odd"},
        {"exchange": [Segment(10, [1.0, 1.0], [0.0, 0.0])]},
        {"exchange": [Segment(10, [1.0], [0.0]), Segment(10, [1.0, 1.0], [0.0, 0.0])]},
        {"exchange": [Segment(10, [1.0], [])]},
        {"exchange": [Segment(10, [0.0], [0.0])]},
        {"exchange": [Segment(10, [float("nan")], [0.0])]},
        {"traffic": {"gradient_bytes": 4000}},
        {"exchange": [Segment(0, [1.0], [0.0])]},
    ],
)
def test_what_no_measuring_gives_is_refused(tmp_path: Path, change: dict) -> None:
    write(tmp_path, replace(made(), **change))
    with pytest.raises(ConfigError, match="is no file of a study"):
        read_runs(tmp_path)


def test_a_directory_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there are no measured runs"):
        read_runs(tmp_path)


def test_training_runs_come_back_as_they_were(tmp_path: Path) -> None:
    write(tmp_path, made())
    assert read_quality(tmp_path, read_runs(tmp_path)) == []
    write(tmp_path, ONE, TWO)
    assert read_quality(tmp_path, read_runs(tmp_path)) == [ONE, TWO]


def test_a_training_run_of_another_configuration_is_refused(tmp_path: Path) -> None:
    write(tmp_path, made())
    write(tmp_path, replace(ONE, config={**ONE.config, "name": "other"}))
    with pytest.raises(ConfigError, match=r"weak-1-0\.json .*different configurations .*name"):
        read_quality(tmp_path, read_runs(tmp_path))


def test_training_runs_of_a_kind_that_was_not_timed_have_one_configuration(tmp_path: Path) -> None:
    write(tmp_path, made())
    strong = trained("strong", 4, (0, 0.0, 90.0))
    write(tmp_path, strong, strong)
    assert read_quality(tmp_path, read_runs(tmp_path)) == [strong, strong]
    write(tmp_path, strong, replace(strong, config={**strong.config, "name": "other"}))
    with pytest.raises(ConfigError, match=r"strong-4-1\.json .*different configurations .*name"):
        read_quality(tmp_path, read_runs(tmp_path))


@pytest.mark.parametrize(
    "change",
    [
        {"points": []},
        {"hosts": []},
        {"kind": "other"},
        {"points": [{"images": 1, "seconds": 0.0, "frechet": -1.0}]},
        {"points": [{"images": 1, "seconds": float("nan"), "frechet": 1.0}]},
        {"points": [{"images": 1}]},
    ],
)
def test_what_no_training_gives_is_refused(tmp_path: Path, change: dict) -> None:
    write(tmp_path, made())
    write(tmp_path, ONE)
    path = tmp_path / "quality" / "weak-1-0.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ConfigError, match=r"is no file of a study: .*move it away"):
        read_quality(tmp_path, read_runs(tmp_path))
