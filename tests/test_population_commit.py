"""The commit of a population: written and read again, and what is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcgan import population_commit
from hpcgan.config import Config, DataConfig, ParallelConfig
from hpcgan.errors import CheckpointError
from hpcgan.population_commit import Commit

COMMIT = Commit(
    Config(data=DataConfig(files=["a.h5"]), parallel=ParallelConfig(population=4)), 3, 120, (1, 2)
)


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert population_commit.read(tmp_path) is None
    population_commit.write(tmp_path, COMMIT)
    assert population_commit.read(tmp_path) == COMMIT
    assert [each.name for each in tmp_path.iterdir()] == ["population.json"]


@pytest.mark.parametrize(
    "text", ["", "7", "{}", "[" * 10**5, '{"format": "other"}', "{", b"\xff".decode("latin-1")]
)
def test_what_is_none_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    path = population_commit.path_of(tmp_path)
    path.write_text(text)
    with pytest.raises(CheckpointError, match=str(path)):
        population_commit.read(tmp_path)


def test_a_damaged_number_is_refused(tmp_path: Path) -> None:
    population_commit.write(tmp_path, COMMIT)
    path = population_commit.path_of(tmp_path)
    path.write_text(path.read_text().replace('"round": 3', '"round": "x"'))
    with pytest.raises(CheckpointError, match=str(path)):
        population_commit.read(tmp_path)
