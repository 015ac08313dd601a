"""Files of runs: what they tell, and which of them belong together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hpcgan.errors import ConfigError
from hpcgan.scaling.runs import Segment, read_runs
from tests.scaling.made import made, write


def test_the_parts_of_a_step() -> None:
    run = made(ranks=2, step=0.25, limit=[0.1, 0.2])
    assert run.step == pytest.approx(0.25)
    assert run.limit_step == pytest.approx(0.2)
    assert run.input == pytest.approx(0.015)
    assert run.compute == pytest.approx(0.135)
    assert run.waiting == pytest.approx(0.05)
    assert run.communication == pytest.approx(0.05)
    assert run.compute + run.input + run.waiting + run.communication == pytest.approx(run.step)
    assert run.limit_efficiency == pytest.approx(0.8)
    assert run.images_per_second == pytest.approx(16 / 0.25)
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
    assert made(ranks=2, step=0.1, limit=0.2).communication == 0


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
        ConfigError, match=r"weak-1-0\.json and .*weak-2-1\.json .*train: None -> .*batch_size"
    ):
        read_runs(tmp_path)


def test_a_strong_study_keeps_its_shards(tmp_path: Path) -> None:
    other = made("strong", 2)
    other.config["data"]["shards"] = 8
    write(tmp_path, made("strong"), other)
    with pytest.raises(ConfigError, match=r"data\.shards: 4 -> 8"):
        read_runs(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"exchange": [], "limit": [{"steps": 1}]}'])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path, made())
    (tmp_path / "runs" / "a.json").write_text(text)
    with pytest.raises(ConfigError, match=r"a\.json: is no measured run"):
        read_runs(tmp_path)


def test_runs_without_segments_or_ranks_are_refused(tmp_path: Path) -> None:
    for change in (
        {"limit": []},
        {"hosts": []},
        {"kind": "odd"},
        {"exchange": [Segment(10, [1.0, 1.0], [0.0, 0.0])]},
        {"exchange": [Segment(10, [0.0], [0.0])]},
        {"exchange": [Segment(0, [1.0], [0.0])]},
    ):
        write(tmp_path, made(**change))
        with pytest.raises(ConfigError, match="is no measured run"):
            read_runs(tmp_path)
        for path in (tmp_path / "runs").iterdir():
            path.unlink()


def test_a_directory_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there are no measured runs"):
        read_runs(tmp_path)
