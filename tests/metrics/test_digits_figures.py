"""The figures of the demonstration, on real digits."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from hpcgan.metrics.digits import figures

Digits = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def digits() -> Digits:
    loaded = load_digits()  # 8x8, ink 0 to 16
    images = np.rint(loaded.images * 255 / 16).astype(np.uint8)[..., np.newaxis]
    return images[:600], loaded.target[:600]


def test_real_digits_are_at_no_distance_from_themselves_and_all_ten_appear(digits: Digits) -> None:
    images, labels = digits
    distance, appearing = figures(images, labels, images, images)
    assert distance == pytest.approx(0, abs=1e-6)
    assert appearing == list(range(10))


def test_the_distance_is_to_the_held_out_digits(digits: Digits) -> None:
    images, labels = digits
    held_out, distance_of = images[labels == 3], {}
    for digit in (3, 4):
        distance_of[digit], _ = figures(images, labels, held_out, images[labels == digit])
    assert distance_of[3] == pytest.approx(0, abs=1e-6)
    assert distance_of[4] > 1


@pytest.mark.parametrize("digit", [0, 9])
def test_samples_of_one_digit_are_that_digit_alone(digits: Digits, digit: int) -> None:
    images, labels = digits
    assert figures(images, labels, images, images[labels == digit])[1] == [digit]


def test_a_digit_of_less_than_three_in_a_hundred_does_not_appear(digits: Digits) -> None:
    images, labels = digits
    zeros, ones = images[labels == 0], images[labels == 1]
    zeros = np.concatenate([zeros, zeros])[:97]
    for count, appearing in ((2, [0]), (3, [0, 1])):
        samples = np.concatenate([zeros, ones[:count]])
        assert figures(images, labels, images, samples)[1] == appearing
