"""Labels: what is decided about them, how the networks get them, and which samples get."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hpcgan.config import ModelConfig
from hpcgan.data.sample_info import SampleInfo
from hpcgan.errors import DataError
from hpcgan.gan import conditions
from hpcgan.gan.conditions import Ranges

CLASSES = ModelConfig(name="dcgan", condition="projection")
ENERGIES = ModelConfig(name="volume", condition="regression")
NAN = float("nan")


def ranged(*bounds: float) -> ModelConfig:
    """Return networks of labels in a range, or in one for each of their values."""
    return ModelConfig(name="volume", condition="regression", label_range=list(bounds))


def test_classes_are_those_of_the_data_unless_they_are_given() -> None:
    assert conditions.resolve(CLASSES, [(0, 6)], True).classes == 7
    given = ModelConfig(name="dcgan", condition="auxiliary", classes=10)
    assert conditions.resolve(given, [(2, 6)], True).classes == 10


def test_the_range_is_that_of_the_data_unless_it_is_given() -> None:
    assert conditions.resolve(ENERGIES, [(10.5, 500.0)], False).label_range == [10.5, 500.0]
    assert conditions.resolve(ranged(5, 1000), [(10.5, 500)], False).label_range == [5, 1000]
    of_three = conditions.resolve(ENERGIES, [(1, 2), (-5, -5), (0, 9)], False)
    assert of_three.label_range == [1, 2, -5, -5, 0, 9]
    assert conditions.label_shape(of_three) == (3,)
    assert conditions.label_shape(ranged(1, 2)) == ()
    assert conditions.label_shape(CLASSES) == ()


@pytest.mark.parametrize(
    ("model", "ranges", "whole", "message"),
    [
        (CLASSES, [(0.0, 3.0)], False, "the labels are no integers"),
        (CLASSES, [(0.0, 3.0)] * 2, False, "the labels are no integers"),
        (CLASSES, [(-1, 3)], True, "from -1 to 3; with model.classes 4 they must be from 0 to 3"),
        (ModelConfig(condition="projection", classes=3), [(0, 3)], True, "must be from 0 to 2"),
        (ENERGIES, [(0.0, 3.0)], False, "they must be greater than 0, and within it"),
        (ranged(1, 2), [(1, 3)], False, "within it"),
        (ENERGIES, [(NAN, NAN)], False, "they must be greater than 0"),
        (ENERGIES, [(1, math.inf)], False, "they must be greater than 0"),
        (ENERGIES, [(0, 3), (1, 2)], False, "the first values of the labels are from 0 to 3"),
        (ENERGIES, [(1, 3), (NAN, NAN)], False, "value 2 of the labels is from nan to nan"),
        (ranged(1, 9, 0, 1), [(1, 3), (0, 2)], False, "2 of the labels is from 0 to 2, .* 0 to 1"),
        (ranged(1, 9), [(1, 3), (0, 2)], False, "the labels have 2 values, .* numbers for 1"),
    ],
)
def test_labels_that_do_not_fit_are_refused(
    model: ModelConfig, ranges: Ranges, whole: bool, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        conditions.resolve(model, ranges, whole)


def test_networks_get_class_numbers_and_parts_of_the_largest_value() -> None:
    classes = conditions.as_input(CLASSES, np.array([3, 0, 9], np.int64))
    assert classes.dtype == np.int32
    assert classes.tolist() == [3, 0, 9]
    energies = conditions.as_input(ranged(10, 400), np.array([100, 400], np.float32))
    assert energies.dtype == np.float32
    assert energies.tolist() == [0.25, 1.0]


def test_of_several_values_the_first_is_such_a_part_and_the_others_lie_in_their_range() -> None:
    model = ranged(10, 400, -2, 2, 7, 7)
    given = conditions.as_input(model, np.array([[100, -2, 7], [400, 1, 7]], np.float32))
    assert given.dtype == np.float32
    assert given.tolist() == [[0.25, 0, 0], [1, 0.75, 0]]
    odd = np.random.default_rng(0).uniform(10, 400, (50, 3)).astype(np.float32)
    alone = conditions.as_input(ranged(10, 400), odd[:, 0])
    assert (conditions.as_input(model, odd)[:, 0] == alone).all()


def test_samples_get_classes_in_turn_and_values_in_the_range() -> None:
    model = ModelConfig(name="dcgan", condition="projection", classes=3)
    assert conditions.for_sampling(model, 256, np.zeros(5)).tolist() == [1, 2, 0, 1, 2]
    values = np.array([0, 0.5, 0.75])
    assert conditions.for_sampling(ranged(10, 30), 0, values).tolist() == [10, 20, 25]
    both = np.array([[0, 0.5], [0.75, 0.25]])
    drawn = conditions.for_sampling(ranged(10, 30, -1, 1), 0, both)
    assert drawn.dtype == np.float32
    assert drawn.tolist() == [[10, 0], [25, -0.5]]


def test_classes_that_no_sample_has_are_left_out_of_the_turn() -> None:
    model = ModelConfig(name="dcgan", condition="projection", classes=5)
    counts = (0, 4, 0, 1, 9)
    assert conditions.for_sampling(model, 4, np.zeros(5), counts).tolist() == [3, 4, 1, 3, 4]


def test_classes_are_drawn_as_often_as_they_are_in_the_data() -> None:
    model = ModelConfig(name="dcgan", condition="projection", classes=5)
    values = ((np.arange(1000) + 0.5) / 1000).astype(np.float32)
    drawn = conditions.for_sampling(model, 0, values, (0, 30, 0, 10, 60), "data")
    assert drawn.dtype == np.int32
    assert np.bincount(drawn, minlength=5).tolist() == [0, 300, 0, 100, 600]
    last = np.array([np.nextafter(np.float32(1), np.float32(0))])
    assert conditions.for_sampling(model, 0, last, (0, 30, 0, 1, 0), "data").tolist() == [3]


def test_a_label_is_asked_for_by_name_number_or_values() -> None:
    model = ModelConfig(name="dcgan", condition="projection", classes=4)
    named = SampleInfo(names=("1", "cat", "dog"))
    texts = ("cat", "1", "3", "2.0")
    asked = [conditions.asked_for(model, named, text, "c.h5") for text in texts]
    assert asked == [1, 0, 3, 2]  # a name before a number
    assert conditions.asked_for(model, SampleInfo(), "1", "c.h5") == 1
    values = conditions.asked_for(ranged(1, 9, -1, 1), SampleInfo(), "2.5,-1", "c.h5")
    assert values.tolist() == [2.5, -1]
    assert conditions.asked_for(ranged(1, 9), SampleInfo(), "2.5", "c.h5").tolist() == 2.5
