"""Which real samples are compared, and how they are read."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest

from hpcgan.config import Config, DataConfig, TrainConfig
from hpcgan.data.source import open_source
from hpcgan.evaluation.drawing import batches, choose, read
from hpcgan.world import World


def test_choices_are_disjoint_ascending_and_the_same_again() -> None:
    first, second, third = choose(3, 100, 30, 0, 70)
    assert sorted([*first, *second, *third]) == list(range(100))
    assert (np.diff(first) > 0).all()
    assert (np.diff(third) > 0).all()
    assert np.array_equal(choose(3, 100, 30)[0], first)
    assert not np.array_equal(choose(4, 100, 30)[0], first)


def test_samples_go_through_a_network_in_batches_for_which_there_is_room() -> None:
    config = Config(DataConfig([]), train=TrainConfig(batch_size=6, accumulate=2))

    def sizes(shape: tuple[int, ...], count: int) -> list[int]:
        inputs = [SimpleNamespace(shape=(None, *shape))]
        state: Any = SimpleNamespace(discriminators=[SimpleNamespace(inputs=inputs)])
        return [each.stop - each.start for each in batches(config, state, count)]

    assert sizes((28, 28, 1), 256) == [256]
    assert sizes((64, 64, 64, 1), 10) == [4, 4, 2]
    assert sizes((256, 256, 256, 1), 8) == [3, 3, 2]  # as in training
    assert sizes((28, 28, 1), 0) == []


@pytest.fixture
def parts(tmp_path: Path) -> list[np.ndarray]:
    """Write files of 7, 0, 300 and 5 samples, which they return."""
    rng = np.random.default_rng(0)
    made = [rng.integers(0, 256, (count, 4, 4, 1), np.uint8) for count in (7, 0, 300, 5)]
    for number, images in enumerate(made):
        with h5py.File(tmp_path / f"{number}.h5", "w") as file:
            chunks = (3, 4, 4, 1) if len(images) else True
            file.create_dataset("images", data=images, chunks=chunks, maxshape=(None, 4, 4, 1))
    return made


def test_samples_of_several_files_are_read_in_their_order(
    world: World, tmp_path: Path, parts: list[np.ndarray]
) -> None:
    source = open_source(world, DataConfig([str(tmp_path / "*.h5")]))
    numbers = np.array([0, 6, 7, 8, 300, 306, 307, 311])
    labels = np.arange(312) * 2
    found = read(world, source, numbers, labels)
    assert np.array_equal(found.images, np.concatenate(parts)[numbers])
    assert found.labels is not None
    assert np.array_equal(found.labels, 2 * numbers)
    every = read(world, source, np.arange(312))
    assert np.array_equal(every.images, np.concatenate(parts))
    assert every.labels is None


def test_files_that_hold_no_chosen_sample_are_not_looked_into(
    world: World, tmp_path: Path, parts: list[np.ndarray]
) -> None:
    source = open_source(world, DataConfig([str(tmp_path / "*.h5")]))
    (tmp_path / "0.h5").unlink()
    (tmp_path / "3.h5").unlink()
    found = read(world, source, np.arange(7, 307))
    assert np.array_equal(found.images, parts[2])
