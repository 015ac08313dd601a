"""Histograms and their separation power, by hand and against CaloChallenge's formula."""

from __future__ import annotations

import numpy as np
import pytest

from hpcgan.evaluation.figures.histograms import histogram, separation, separation_power
from hpcgan.world import World
from tests.evaluation.made import spread


def calochallenge(a: np.ndarray, b: np.ndarray) -> float:
    """Return the separation power of two histograms as CaloChallenge's evaluate.py has it."""
    a, b = a / a.sum(), b / b.sum()
    return float(0.5 * ((a - b) ** 2 / (a + b + 1e-16)).sum())


def images(world: World, values: list[list[float]], dtype: str = "float32"):
    array = np.array(values, dtype)[:, :, np.newaxis, np.newaxis]
    return spread(world, np.zeros((len(array), 1)), array)


def test_the_power_by_hand() -> None:
    a, b = np.array([[1, 1, 0], [3, 0, 0], [2, 2, 4]]), np.array([[0, 2, 2], [0, 1, 1], [1, 1, 2]])
    # Shares 1/2 1/2 0 against 0 1/2 1/2; nothing in common; the same shares.
    np.testing.assert_allclose(separation_power(a, b), [0.5, 1, 0], atol=1e-15)


def test_it_is_that_of_calochallenge_with_what_is_outside_in_bins_of_its_own(world: World) -> None:
    random = np.random.default_rng(0)
    ours, theirs = random.normal(0.3, 1.5, (900, 2)), random.normal(size=(700, 2))
    found = separation(world, [ours[:500], ours[500:]], [theirs], 20)
    for column, power in enumerate(found):
        edges = np.linspace(theirs[:, column].min(), theirs[:, column].max(), 21)
        edges = np.concatenate([[-np.inf], edges, [np.inf]])
        counts = [np.histogram(each[:, column], edges)[0] for each in (ours, theirs)]
        assert min(counts[0][0], counts[0][-1]) > 0
        counts[1][-2:] = counts[1][-2:].sum(), 0  # the largest value is in the last bin
        assert power == pytest.approx(calochallenge(*counts), rel=1e-9)


def test_none_is_dropped(world: World) -> None:
    theirs = np.array([[0.0], [1], [2], [3]])
    outside = np.array([[-5.0], [9], [np.inf], [np.nan]])
    assert separation(world, [outside], [theirs], 4).tolist() == [1]
    half = np.concatenate([theirs, outside])
    # Shares 1/8 against 1/4 in 4 bins, 1/8 and 3/8 against none.
    expected = 0.5 * (4 * (1 / 8) ** 2 / (3 / 8) + 1 / 8 + 3 / 8)
    assert separation(world, [half], [theirs], 4)[0] == pytest.approx(expected, rel=1e-12)


def test_a_quantity_that_is_constant_in_the_reference_has_one_bin(world: World) -> None:
    theirs = np.full((4, 1), 2.5)
    ours = np.array([[2.5], [2.5], [2.4], [2.6]])
    # 1/2 against 1; 1/4 twice against none.
    expected = 0.5 * (0.25 / 1.5 + 0.5)
    assert separation(world, [ours], [theirs], 10)[0] == pytest.approx(expected, rel=1e-12)


def test_each_value_of_uint8_has_a_bin(world: World) -> None:
    every = [[value] for value in range(256)]
    reference = images(world, every, "uint8")
    assert histogram(images(world, every[::-1], "uint8"), reference) == {"histogram": 0}
    even = images(world, every[::2], "uint8")
    # 1/128 against 1/256 in 128 bins, 0 against 1/256 in 128.
    expected = 0.5 * (1 / 256 / 3 * 128 + 0.5)
    assert histogram(even, reference)["histogram"] == pytest.approx(expected, rel=1e-12)


def test_all_values_of_all_samples_count(world: World) -> None:
    reference = images(world, [[-1, 1], [0, 0.5]])
    assert histogram(images(world, [[0.5, 0], [1, -1]]), reference) == {"histogram": 0}
    # Two of four have a bin in common, the others none.
    found = histogram(images(world, [[-1, 1], [-9, 0.25]]), reference)
    assert found == {"histogram": pytest.approx(0.5)}
