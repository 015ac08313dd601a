"""By which data the members of a population are judged."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcgan.config import Config, DataConfig
from hpcgan.config_beside import EvaluateConfig
from hpcgan.config_population import TournamentConfig
from hpcgan.errors import DataError
from hpcgan.evaluation.judging import open_judging
from hpcgan.world import World


def written(path: Path, count: int) -> str:
    with h5py.File(path, "w") as file:
        file["images"] = np.zeros((count, 4, 4, 1), np.uint8)
    return str(path)


@pytest.mark.parametrize(
    ("own", "held_out", "expected"),
    [(13, 14, 13), (None, 14, 14), (None, None, 40)],
)
def test_held_out_data_come_first_and_the_others_are_said(
    world: World,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    own: int | None,
    held_out: int | None,
    expected: int,
) -> None:
    config = Config(
        data=DataConfig(files=[written(tmp_path / "train.h5", 40)]),
        tournament=TournamentConfig(data=own and [written(tmp_path / "own.h5", own)]),
        evaluate=EvaluateConfig(
            held_out=[written(tmp_path / "h.h5", held_out)] if held_out else []
        ),
    )
    assert len(open_judging(world, config, "members are judged")) == expected
    said = capsys.readouterr().out
    assert said.startswith("hpcgan: members are judged by the data that they") == (expected == 40)


def test_too_few_are_refused_before_anything_is_trained(world: World, tmp_path: Path) -> None:
    config = Config(
        data=DataConfig(files=[written(tmp_path / "train.h5", 40)]),
        tournament=TournamentConfig(data=[written(tmp_path / "few.h5", 11)]),
    )
    said = "few.h5: has 11 samples, and members are judged by at least 12"
    with pytest.raises(DataError, match=said) as caught:
        open_judging(world, config, "members are judged")
    assert caught.value.on_all_ranks
