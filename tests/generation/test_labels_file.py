"""The labels of samples from files: which are taken, which refused, and where the wrong one is."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from generation.made import CLASSES, NAMED, SHOWERS

from hpcgan.checkpoint import Checkpoint
from hpcgan.config import Config, DataConfig, ModelConfig
from hpcgan.data.sample_info import SampleInfo
from hpcgan.errors import DataError
from hpcgan.generation.labels_file import LabelsFile
from hpcgan.world import World

PAIRS = ModelConfig(name="volume", condition="regression", label_range=[10, 50, -1, 1])


def checkpoint_of(model: ModelConfig, samples: SampleInfo | None = None) -> Checkpoint:
    """Return a checkpoint without variables."""
    config = Config(data=DataConfig(files=["x"], shards=1), model=model)
    about = (config, (8, 8, 1), "uint8", "", 0, 0, {}, (), samples or SampleInfo())
    return Checkpoint(Path("c.h5"), 1, 1, *about)


def hdf5(path: Path, labels: object) -> Path:
    """Write labels to an HDF5 file."""
    with h5py.File(path, "w") as file:
        file["labels"] = labels
    return path


def test_hdf5_gives_the_labels_of_any_samples(world: World, tmp_path: Path) -> None:
    energies = np.linspace(10, 500, 1000)
    labels = LabelsFile(hdf5(tmp_path / "l.h5", energies), checkpoint_of(SHOWERS))
    labels.check(world, 1000)
    found = labels.of(np.array([3, 4, 900, 999, 1000, 1001]))
    assert found.dtype == np.float32
    assert found.tolist() == energies[[3, 4, 900, 999, 999, 999]].astype(np.float32).tolist()


def test_a_line_of_text_has_a_class_by_name_or_number(world: World, tmp_path: Path) -> None:
    path = tmp_path / "l.txt"
    path.write_text("cat\n2\nemu\n1\n" * 200)  # a class is named 1, and is number 3
    labels = LabelsFile(path, checkpoint_of(CLASSES, NAMED))
    labels.check(world, 800)
    found = labels.of(np.arange(254, 522))
    assert found.dtype == np.int32
    assert found.tolist() == ([0, 2, 2, 3] * 200)[254:522]


def test_a_line_of_text_has_several_values(world: World, tmp_path: Path) -> None:
    path = tmp_path / "l.txt"
    path.write_text("10,-1\n20.5,0.5\n50,1")
    labels = LabelsFile(path, checkpoint_of(PAIRS))
    labels.check(world, 3)
    assert labels.of(np.array([1, 2])).tolist() == [[20.5, 0.5], [50, 1]]


@pytest.mark.parametrize(
    ("model", "labels", "said"),
    [
        (CLASSES, [0, 2, 3, 4], "label 3 is 4, and the labels of c.h5 are 0 to 3"),
        (CLASSES, [0, -1, 3, 4], "label 1 is -1, and the labels of c.h5 are 0 to 3"),
        (CLASSES, [0, 2, 1, 0], "label 2 is 1, and .* are 0 to 3, of which it has seen samples"),
        (CLASSES, [0, 2, 3], "has 3 labels for the 4 samples of --count"),
        (
            CLASSES,
            [0.0, 1.0, 2.0, 3.0],
            r"has shape \(4,\) and dtype float64; those of c.h5 are in",
        ),
        (CLASSES, [[0], [1], [2], [3]], r"has shape \(4, 1\) .* are integers of shape \(N,\)"),
        (SHOWERS, [10, 500, 9.99, 20], "label 2 is 9.99, and the labels of c.h5 are 10 to 500"),
        (SHOWERS, [10, 500, 20, np.nan], "label 3 is nan, and the labels of c.h5 are 10 to 500"),
        (PAIRS, [[10, 0], [10, 2], [9, 0], [10, 0]], r"label 1 is \[10, 2\], .* 10 to 50, -1 to 1"),
        (PAIRS, [10, 20, 30, 40], r"those of c.h5 are numbers of shape \(N, 2\)"),
    ],
)
def test_the_first_wrong_label_is_named(
    world: World, tmp_path: Path, model: ModelConfig, labels: list[float], said: str
) -> None:
    path = hdf5(tmp_path / "l.h5", labels)
    samples = NAMED if model is CLASSES else None
    with pytest.raises(DataError, match=rf"l\.h5: .*{said}"):
        LabelsFile(path, checkpoint_of(model, samples)).check(world, 4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cat\nemu\ncow\n", r"l\.txt: label 2: cow: the labels of c\.h5 are 0 to 3: 0 \(cat\)"),
        ("cat\ndog\nemu\n", r"l\.txt: label 1: dog: the class 1 \(dog\) had no sample"),
        ("cat\nemu\n\n", r"l\.txt: label 2: : the labels of c\.h5 are 0 to 3"),
        ("cat\nemu\n", r"l\.txt: has 2 labels for the 3 samples"),
    ],
)
def test_a_line_that_names_no_class_is_named(
    world: World, tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "l.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        LabelsFile(path, checkpoint_of(CLASSES, NAMED)).check(world, 3)


def test_files_that_are_no_labels_are_refused(tmp_path: Path) -> None:
    found = checkpoint_of(SHOWERS)
    with pytest.raises(DataError, match=r"none\.h5: there is no such file of labels"):
        LabelsFile(tmp_path / "none.h5", found)
    (tmp_path / "l.csv").write_text("3\n")
    with pytest.raises(DataError, match=r"l\.csv: not readable as HDF5"):
        LabelsFile(tmp_path / "l.csv", found)
    with h5py.File(tmp_path / "l.h5", "w") as file:
        file["energies"] = [20.0]
    with pytest.raises(DataError, match="no dataset 'labels'; its datasets are: energies"):
        LabelsFile(tmp_path / "l.h5", found)
