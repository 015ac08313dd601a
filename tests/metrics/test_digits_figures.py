"""The figures of the demonstration, on real digits."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from hpcgan.metrics.digits import Evaluator

Digits = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def digits() -> Digits:
    loaded = load_digits()  # 8x8, ink 0 to 16
    images = np.rint(loaded.images * 255 / 16).astype(np.uint8)[..., np.newaxis]
    return images[:600], loaded.target[:600]


def test_real_digits_are_at_no_distance_from_themselves_and_all_ten_appear(digits: Digits) -> None:
    images, labels = digits
    distance, appearing = Evaluator([images], labels, [images]).evaluate(images)
    assert distance == pytest.approx(0, abs=1e-6)
    assert appearing == list(range(10))


def test_the_distance_is_to_the_held_out_digits(digits: Digits) -> None:
    images, labels = digits
    held_out, distance_of = images[labels == 3], {}
    for digit in (3, 4):
        distance_of[digit], _ = Evaluator([images], labels, [held_out]).evaluate(
            images[labels == digit]
        )
    assert distance_of[3] == pytest.approx(0, abs=1e-6)
    assert distance_of[4] > 1


@pytest.mark.parametrize("digit", [0, 9])
def test_samples_of_one_digit_are_that_digit_alone(digits: Digits, digit: int) -> None:
    images, labels = digits
    assert Evaluator([images], labels, [images]).evaluate(images[labels == digit])[1] == [digit]


def test_a_digit_of_less_than_three_in_a_hundred_does_not_appear(digits: Digits) -> None:
    images, labels = digits
    zeros, ones = images[labels == 0], images[labels == 1]
    zeros = np.concatenate([zeros, zeros])[:97]
    for count, appearing in ((2, [0]), (3, [0, 1])):
        samples = np.concatenate([zeros, ones[:count]])
        assert Evaluator([images], labels, [images]).evaluate(samples)[1] == appearing


def test_pieces_of_digits_sorted_by_label_are_evaluated_as_all_at_once(
    digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = digits
    order = np.argsort(labels, kind="stable")
    images, labels = images[order], labels[order]
    chunks, samples = np.array_split(images, 7), images[labels != 4]
    whole = Evaluator([images], labels, [images]).evaluate(samples)
    distance, appearing = Evaluator(chunks, labels, chunks).evaluate(samples)
    assert distance == pytest.approx(whole[0])
    assert appearing == whole[1] == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    # Fitted to every third.
    monkeypatch.setattr("hpcgan.metrics.digits.CLASSIFIED", 200)
    assert Evaluator(chunks, labels, chunks).evaluate(images)[1] == list(range(10))
