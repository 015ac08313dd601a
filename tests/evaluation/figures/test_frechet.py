"""The Fréchet distance and principal components, against values worked out otherwise."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from hpcgan.evaluation.features import flat, pca
from hpcgan.evaluation.figures.frechet import frechet
from hpcgan.evaluation.samples import Samples
from hpcgan.world import World
from tests.evaluation.made import spread


def distance_of(world: World, a: np.ndarray, b: np.ndarray) -> float:
    return frechet(spread(world, a), spread(world, b))["frechet"]


def of_images(world: World, images: np.ndarray) -> Samples:
    return spread(world, np.zeros((len(images), 0)), images)


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_a_set_is_at_no_distance_from_itself(world: World) -> None:
    features = normal(0, 200, 8) @ normal(1, 8, 8)
    assert distance_of(world, features, features) == pytest.approx(0, abs=1e-9)
    assert distance_of(world, features, features[::-1]) == pytest.approx(0, abs=1e-9)


def test_a_shift_is_at_its_squared_length(world: World) -> None:
    features = normal(0, 200, 3)
    shift = np.array([1.0, -2.0, 0.5])
    assert distance_of(world, features, features + shift) == pytest.approx(5.25)


def test_one_feature_by_hand(world: World) -> None:
    # Means 1 and 5; sample deviations sqrt(2) and 3 sqrt(2): 4^2 + (2 sqrt(2))^2.
    a, b = np.array([[0.0], [2.0]]), np.array([[2.0], [8.0]])
    assert distance_of(world, a, b) == pytest.approx(16 + 8)


def test_features_that_do_not_correlate_add_up(world: World) -> None:
    cross = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])  # covariance 2/3 in each
    distance = distance_of(world, cross * [1, 2], cross * [3, 7])
    assert distance == pytest.approx(2 / 3 * ((1 - 3) ** 2 + (2 - 7) ** 2))


@pytest.mark.parametrize("seed", range(3))
def test_it_agrees_with_the_formula_of_heusel_et_al(world: World, seed: int) -> None:
    a = normal(seed, 60, 5) @ normal(seed + 10, 5, 5) + 1
    b = normal(seed + 20, 80, 5) @ normal(seed + 30, 5, 5)
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a + cov_b - 2 * root)
    assert distance_of(world, a, b) == pytest.approx(expected, rel=1e-6)
    assert distance_of(world, b, a) == pytest.approx(expected, rel=1e-6)


def test_fewer_samples_than_features_give_a_number_all_the_same(world: World) -> None:
    # Both covariances are singular; of points on one line it is that line's distance.
    line = np.array([3.0, 4.0, 0, 0, 0, 0]) / 5
    a, b = np.array([[0.0], [2.0]]) * line, np.array([[2.0], [8.0]]) * line
    assert distance_of(world, a, b) == pytest.approx(24)


def test_the_axes_are_orthonormal_and_the_largest_variance_comes_first(world: World) -> None:
    samples = normal(0, 300, 2, 3, 1) * np.array([1, 5, 2, 9, 3, 7]).reshape(2, 3, 1)
    space = pca.fit(of_images(world, samples), 4)
    assert space.axes.shape == (6, 4)
    assert space.axes.T @ space.axes == pytest.approx(np.eye(4), abs=1e-12)
    assert space.mean == pytest.approx(samples.reshape(300, 6).mean(axis=0))
    projected = space.features(samples)
    assert projected.mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-12)
    largest = np.linalg.eigvalsh(np.cov(samples.reshape(300, 6).T))[::-1][:4]
    assert projected.var(axis=0, ddof=1) == pytest.approx(largest)


def test_samples_of_low_rank_are_held_whole(world: World) -> None:
    samples = normal(0, 50, 2) @ normal(1, 2, 12) + 3
    space = pca.fit(of_images(world, samples), 2)
    assert space.features(samples) @ space.axes.T + space.mean == pytest.approx(samples)


def test_bytes_are_scaled_and_floats_are_not() -> None:
    assert flat(np.array([[[0, 255]], [[51, 204]]], np.uint8)) == pytest.approx(
        np.array([[-1, 1], [-0.6, 0.6]])
    )
    floats = flat(np.array([[[-3, 255]]], np.float32))
    assert floats.dtype == np.float64
    assert floats.tolist() == [[-3, 255]]
