"""The figures of showers, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hpcgan.metrics.calorimeter import largest_deviation, measure


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
