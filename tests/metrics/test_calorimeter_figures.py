"""The figures of showers, worked out by hand."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcgan.config import ModelConfig
from hpcgan.data import values
from hpcgan.data.sample_info import SampleInfo
from hpcgan.metrics.calorimeter import largest_deviation, measure
from tests.metrics.test_inputs import make_run


def test_profiles_are_mean_energies_of_layers_and_rings() -> None:
    showers = np.zeros((2, 2, 3, 3, 1), np.float32)
    showers[0, 0, 1, 1] = 4  # on the axis
    showers[0, 1, 0, 1] = 2  # a cell from it
    showers[1, 1, 2, 2] = 6  # 1.41 cells from it, which rounds to 1
    found, energies = measure([showers[:1], showers[1:]])
    assert found.longitudinal.tolist() == [2, 4]
    assert found.radial.tolist() == [2, 4]
    assert energies.tolist() == [6, 6]


def test_rings_of_an_even_number_of_cells_are_around_the_corner_of_four() -> None:
    showers = np.ones((1, 1, 4, 4, 1), np.float32)
    # Distances are 0.71 for the inner four, 1.58 for the next eight, 2.12 for the corners.
    assert measure([showers])[0].radial.tolist() == [0, 4, 12]


def test_the_deviation_is_relative_and_only_where_the_energy_is() -> None:
    real = np.array([1.0, 49.0, 50.0])  # the first holds 1%
    assert largest_deviation(np.array([9.0, 49.0, 45.0]), real) == pytest.approx(0.1)
    assert largest_deviation(np.array([1.0, 58.8, 50.0]), real) == pytest.approx(0.2)


# The newest checkpoint of a run with mapped values draws, instead of its networks, real showers
# that are mapped as it says.
_MAPPED = """
import sys
import h5py, numpy as np
from hpcgan.data import values
from hpcgan.metrics import calorimeter

def blocks(world, found, wanted):
    with h5py.File("showers.h5") as file:
        showers, labels = file["images"][:], file["labels"][:]
    mapped = values.forward(found.samples.mapping, showers).astype(np.float32)
    for part in np.split(np.arange(len(labels)), 4):
        yield mapped[part], np.stack([labels[part], 0 * labels[part]], axis=1)

calorimeter.blocks = blocks
sys.exit(calorimeter.main())
"""


def test_mapped_showers_are_compared_in_the_units_of_their_source(python, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    showers = rng.exponential(50, (40, 3, 4, 4, 1)).astype(np.float32)
    energies = showers.sum((1, 2, 3, 4)) / 2
    with h5py.File(tmp_path / "showers.h5", "w") as file:
        file["images"], file["labels"] = showers, energies
    mapping = values.parse("symlog:0.5 scale:0.1,-0.2")
    with h5py.File(tmp_path / "mapped.h5", "w") as file:
        file["images"] = values.forward(mapping, showers).astype(np.float32)
        file["images"].attrs["values"] = values.as_text(mapping)
        file["labels"] = energies
    model = ModelConfig(name="volume", condition="regression", label_range=[1, 1e6, 0, 1])
    samples = SampleInfo(values.as_text(mapping))
    make_run(tmp_path / "run", (3, 4, 4, 1), model, samples)
    for real in ("showers.h5", "mapped.h5"):
        done = python("-c", _MAPPED, "run", "--real", real)
        assert done.returncode == 0, done.stderr
        _, *lines = done.stdout.splitlines()
        assert lines[0].startswith("longitudinal profile: at most 0.0% off")
        assert lines[1].startswith("radial profile: at most 0.0% off")
        assert "correlation 1.0000 (real showers: 1.0000)" in lines[2]
