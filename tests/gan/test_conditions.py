"""Labels: what is decided about them, and how the networks get them."""

from __future__ import annotations

import numpy as np
import pytest

from hpcgan.config import ModelConfig
from hpcgan.errors import DataError
from hpcgan.gan import conditions

CLASSES = ModelConfig(name="dcgan", condition="projection")
ENERGIES = ModelConfig(name="volume", condition="regression")


def test_classes_are_those_of_the_data_unless_they_are_given() -> None:
    assert conditions.resolve(CLASSES, 0, 6, True).classes == 7
    given = ModelConfig(name="dcgan", condition="auxiliary", classes=10)
    assert conditions.resolve(given, 2, 6, True).classes == 10


def test_the_range_is_that_of_the_data_unless_it_is_given() -> None:
    assert conditions.resolve(ENERGIES, 10.5, 500.0, False).label_range == [10.5, 500.0]
    given = ModelConfig(name="volume", condition="regression", label_range=[5, 1000])
    assert conditions.resolve(given, 10.5, 500.0, False).label_range == [5, 1000]


@pytest.mark.parametrize(
    ("model", "lowest", "highest", "whole", "message"),
    [
        (CLASSES, 0.0, 3.0, False, "the labels are no integers"),
        (CLASSES, -1, 3, True, "from -1 to 3; with model.classes 4 they must be from 0 to 3"),
        (ModelConfig(condition="projection", classes=3), 0, 3, True, "must be from 0 to 2"),
        (ENERGIES, 0.0, 3.0, False, "they must be greater than 0, and within it"),
        (ModelConfig(condition="regression", label_range=[1, 2]), 1, 3, False, "within it"),
        (ENERGIES, float("nan"), float("nan"), False, "they must be greater than 0"),
    ],
)
def test_labels_that_do_not_fit_are_refused(
    model: ModelConfig, lowest: float, highest: float, whole: bool, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        conditions.resolve(model, lowest, highest, whole)


def test_networks_get_class_numbers_and_parts_of_the_largest_value() -> None:
    classes = conditions.as_input(CLASSES, np.array([3, 0, 9], np.int64))
    assert classes.dtype == np.int32
    assert classes.tolist() == [3, 0, 9]
    model = ModelConfig(name="volume", condition="regression", label_range=[10, 400])
    energies = conditions.as_input(model, np.array([100, 400], np.float32))
    assert energies.dtype == np.float32
    assert energies.tolist() == [0.25, 1.0]


def test_samples_get_classes_in_turn_and_values_in_the_range() -> None:
    model = ModelConfig(name="dcgan", condition="projection", classes=3)
    assert conditions.for_sampling(model, 256, np.zeros(5)).tolist() == [1, 2, 0, 1, 2]
    model = ModelConfig(name="volume", condition="regression", label_range=[10, 30])
    assert conditions.for_sampling(model, 0, np.array([0, 0.5, 0.75])).tolist() == [10, 20, 25]
