"""The warning of values that a generator's tanh cannot make: where, once, and where not."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcgan.config import Config, DataConfig, ModelConfig, TrainConfig
from hpcgan.data.assignment import assign_shards
from hpcgan.data.placement import opened_shards
from hpcgan.data.source import open_source
from hpcgan.world import World

pytestmark = pytest.mark.usefixtures("small_chunks")


def said(
    world: World,
    capsys: pytest.CaptureFixture[str],
    path: Path,
    values: list[float],
    residency: str = "memory",
    model: ModelConfig | None = None,
    dtype: str = "float32",
) -> str:
    """Return what is printed when a run opens 40 samples, zeros but for some values at the end."""
    images = np.zeros((40, 2, 2, 1), dtype)
    images[40 - len(values) :, 0, 0, 0] = values
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=images, chunks=(4, 2, 2, 1))
        file["labels"] = np.linspace(1, 2, 40, dtype=np.float32)
    section = DataConfig([str(path)], labels="labels", shards=3, residency=residency)  # type: ignore[arg-type]
    config = Config(data=section, model=model or ModelConfig(), train=TrainConfig(batch_size=2))
    source = open_source(world, section)
    config, assignment = assign_shards(world, config, source, None)
    with opened_shards(world, config, source, assignment):
        pass
    return capsys.readouterr().out


@pytest.mark.parametrize("residency", ["memory", "node"])
def test_all_samples_in_memory_are_looked_at(
    world: World, capsys: pytest.CaptureFixture[str], tmp_path: Path, residency: str
) -> None:
    path = tmp_path / "a.h5"
    assert said(world, capsys, path, [-0.5, 250.0], residency) == (
        f"hpcgan: warning: {path}: the values of the samples are from -0.5 to 250, and the "
        "generator ends in tanh, which gives -1 to 1: map them with hpcgan-data convert --values "
        "minmax (or log10, symlog, scale; docs/data.md)\n"
    )
    assert "from -1.6 to 0," in said(world, capsys, path, [-1.6], residency)


def test_of_streamed_samples_the_first_chunk_is_looked_at(
    world: World, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "a.h5"
    assert said(world, capsys, path, [9.0], "stream") == ""
    assert "the values of the first chunks are from 0 to 9," in said(
        world, capsys, path, [9.0] * 40, "stream"
    )


@pytest.mark.parametrize(
    ("values", "model", "dtype"),
    [
        ([-1.5, 1.5], ModelConfig(), "float32"),
        ([255], ModelConfig(), "uint8"),
        ([99.0], ModelConfig(name="volume", condition="regression"), "float32"),
        ([99.0], ModelConfig(generator="mynets:generator"), "float32"),
    ],
)
def test_there_is_no_warning_where_they_fit_or_no_tanh_is_known(
    world: World,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    values: list[float],
    model: ModelConfig,
    dtype: str,
) -> None:
    assert said(world, capsys, tmp_path / "a.h5", values, model=model, dtype=dtype) == ""
