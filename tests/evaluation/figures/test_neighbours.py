"""Distances and nearest neighbours, against all distances at once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from hpcgan.evaluation.figures.auc import auc
from hpcgan.evaluation.figures.neighbours import nearest, squared_distances
from hpcgan.world import World
from tests.evaluation.made import spread


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_distances_are_squared() -> None:
    a, b = np.array([[0.0, 0], [3, 4]]), np.array([[0.0, 0], [0, 4], [3, 4]])
    assert squared_distances(a, b).tolist() == [[0, 16, 25], [25, 9, 0]]


def test_vectors_that_are_equal_are_at_distance_0_far_from_the_origin() -> None:
    a = normal(0, 100, 64) * 1e3 + 1e4
    found = squared_distances(a, a.copy())
    assert not found.diagonal().any()
    off = ~np.eye(100, dtype=bool)
    np.testing.assert_allclose(found[off], cdist(a, a, "sqeuclidean")[off], rtol=1e-6)


def test_the_nearest_of_another_set_in_ascending_order(world: World) -> None:
    a, b = normal(1, 300, 5), normal(2, 520, 5)
    found = nearest(spread(world, a), spread(world, b), 40)
    expected = np.sort(cdist(a, b, "sqeuclidean"), axis=1)[:, :40]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_in_its_own_set_a_sample_is_left_out_but_not_its_copy(world: World) -> None:
    a = normal(3, 301, 5)
    a[256 + 3] = a[3]  # at the same place of another block
    samples = spread(world, a)
    found = nearest(samples, samples, 2)
    every = cdist(a, a, "sqeuclidean")
    np.fill_diagonal(every, np.inf)
    np.testing.assert_allclose(found, np.sort(every, axis=1)[:, :2], rtol=1e-9)
    assert found[[3, 256 + 3], 0].tolist() == [0, 0]
    # The same samples as another set contain each of them.
    assert not nearest(samples, spread(world, a), 1).any()


def test_fewer_neighbours_than_asked_for_are_infinitely_far(world: World) -> None:
    samples = spread(world, np.array([[0.0], [2.0]]))
    assert nearest(samples, samples, 3).tolist() == [[4, np.inf, np.inf]] * 2
    nobody = spread(world, np.zeros((0, 1)))
    assert nearest(nobody, samples, 2).shape == (0, 2)
    assert nearest(samples, nobody, 1).tolist() == [[np.inf]] * 2


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([2, 3], [0, 1], 1.0),
        ([0, 1], [2, 3], 0.0),
        ([1, 1], [1, 1, 1], 0.5),
        ([1, 3], [0, 2, 3], (1 + 2.5) / 6),
    ],
)
def test_the_auc_counts_pairs_and_half_of_ties(a: list[int], b: list[int], expected: float) -> None:
    assert auc(np.array(a), np.array(b)) == expected


def test_the_auc_agrees_with_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    scores = np.round(normal(4, 500), 1)  # with ties
    truth = np.arange(500) % 3 == 0
    expected = roc_auc_score(truth, scores)
    assert auc(scores[truth], scores[~truth]) == pytest.approx(expected, rel=1e-12)
