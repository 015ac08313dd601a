"""The figures of the demonstration, on real digits."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from hpcgan.evaluation.digits import Evaluator
from hpcgan.evaluation.samples import Samples
from hpcgan.world import World
from tests.evaluation.made import spread

Digits = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def digits() -> Digits:
    loaded = load_digits()  # 8x8, ink 0 to 16
    images = np.rint(loaded.images * 255 / 16).astype(np.uint8)[..., np.newaxis]
    return images[:600], loaded.target[:600]


def samples_of(world: World, images: np.ndarray, labels: np.ndarray | None = None) -> Samples:
    return spread(world, np.zeros((len(images), 0)), images, labels)


def evaluator_of(
    world: World, images: np.ndarray, labels: np.ndarray, held_out: np.ndarray
) -> Evaluator:
    return Evaluator(samples_of(world, images, labels), samples_of(world, held_out))


def test_real_digits_are_at_no_distance_from_themselves_and_all_ten_appear(
    world: World, digits: Digits
) -> None:
    images, labels = digits
    distance, appearing = evaluator_of(world, images, labels, images).evaluate(
        samples_of(world, images)
    )
    assert distance == pytest.approx(0, abs=1e-6)
    assert appearing == list(range(10))


def test_the_distance_is_to_the_held_out_digits(world: World, digits: Digits) -> None:
    images, labels = digits
    held_out, distance_of = images[labels == 3], {}
    for digit in (3, 4):
        distance_of[digit], _ = evaluator_of(world, images, labels, held_out).evaluate(
            samples_of(world, images[labels == digit])
        )
    assert distance_of[3] == pytest.approx(0, abs=1e-6)
    assert distance_of[4] > 1


@pytest.mark.parametrize("digit", [0, 9])
def test_samples_of_one_digit_are_that_digit_alone(
    world: World, digits: Digits, digit: int
) -> None:
    images, labels = digits
    evaluator = evaluator_of(world, images, labels, images)
    assert evaluator.evaluate(samples_of(world, images[labels == digit]))[1] == [digit]


def test_a_digit_of_less_than_three_in_a_hundred_does_not_appear(
    world: World, digits: Digits
) -> None:
    images, labels = digits
    zeros, ones = images[labels == 0], images[labels == 1]
    zeros = np.concatenate([zeros, zeros])[:97]
    for count, appearing in ((2, [0]), (3, [0, 1])):
        samples = np.concatenate([zeros, ones[:count]])
        evaluator = evaluator_of(world, images, labels, images)
        assert evaluator.evaluate(samples_of(world, samples))[1] == appearing


def test_digits_sorted_by_label_are_classified_from_all_over_them(
    world: World, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = digits
    order = np.argsort(labels, kind="stable")
    images, labels = images[order], labels[order]
    # Fitted to every third.
    monkeypatch.setattr("hpcgan.evaluation.digits.CLASSIFIED", 200)
    evaluator = evaluator_of(world, images, labels, images)
    assert evaluator.evaluate(samples_of(world, images))[1] == list(range(10))
    found = evaluator.classify(samples_of(world, images))
    assert np.mean(found == labels) > 0.9


def test_the_floor_is_the_distance_of_the_digits_trained_on(world: World, digits: Digits) -> None:
    images, labels = digits
    evaluator = evaluator_of(world, images[:400], labels[:400], images[400:])
    assert evaluator.floor > 0.1
    distance, _ = evaluator.evaluate(samples_of(world, images[:400]))
    assert distance == evaluator.floor
