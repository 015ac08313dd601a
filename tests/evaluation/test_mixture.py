"""Mixtures: their moments, and the proportions that bring them nearest to data."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hpcgan.evaluation.figures.frechet import Moments, distance
from hpcgan.evaluation.mixture import fit, mixed
from hpcgan.turns import PERIOD, Turns


def moments(features: np.ndarray, ddof: int = 1) -> Moments:
    return Moments(features.mean(axis=0), np.cov(features.T, ddof=ddof))


def classes(seed: int, count: int, shares: list[float], dimension: int = 5) -> np.ndarray:
    """Return feature vectors of classes, each around a centre of its own, in these shares."""
    centres = 3 * np.random.default_rng(99).normal(size=(len(shares), dimension))
    rng = np.random.default_rng(seed)
    return centres[rng.choice(len(shares), count, p=shares)] + rng.normal(size=(count, dimension))


def test_two_members_by_hand() -> None:
    # Means 0 and 4, variances 1 and 3; a quarter of the second: 1 + the spread of the means.
    every = [
        Moments(np.array([0.0]), np.array([[1.0]])),
        Moments(np.array([4.0]), np.array([[3.0]])),
    ]
    found = mixed(every, np.array([0.75, 0.25]))
    assert found.mean == pytest.approx([1])
    assert found.covariance == pytest.approx(0.75 * (1 + 1) + 0.25 * (3 + 9))


def test_moments_are_those_of_all_samples_together() -> None:
    sets = [classes(seed, count, [0.5, 0.5]) + 1e4 for seed, count in enumerate([100, 300, 600])]
    # Of n samples, and not n - 1: parts of different numbers of samples then add up.
    found = mixed([moments(each, 0) for each in sets], np.array([0.1, 0.3, 0.6]))
    expected = moments(np.concatenate(sets), 0)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-12)
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-8, atol=1e-8)


def test_the_formula_gives_the_distance_of_drawn_samples() -> None:
    shares = [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]
    reference = moments(classes(7, 100_000, [0.4, 0.2, 0.2, 0.2]))
    every = [moments(classes(seed, 100_000, own)) for seed, own in enumerate(shares)]
    weights = np.array([0.3, 0.7])
    formula = distance(mixed(every, weights), reference)
    source, number = Turns(np.array([3000, 7000])).of(np.arange(10_000))
    drawn = []
    for seed in range(10, 16):
        own = [classes(2 * seed + each, 10_000, shares[each]) for each in range(2)]
        drawn.append(distance(moments(np.stack(own)[source, number]), reference))
    assert abs(np.mean(drawn) - formula) < 3 * np.std(drawn, ddof=1) / np.sqrt(len(drawn))
    assert np.std(drawn) < 0.05 * formula


def test_a_member_that_lost_classes_gets_them_from_one_that_has_no_others() -> None:
    reference = moments(classes(0, 200_000, [0.1] * 10))
    without = moments(classes(1, 200_000, [0.125] * 8 + [0] * 2))
    only = moments(classes(2, 200_000, [0] * 8 + [0.5] * 2))
    found = fit([without, only], reference)
    assert found == pytest.approx([0.8, 0.2], abs=0.01)
    every = [without, only, moments(100 + classes(3, 1000, [0.1] * 10))]
    assert fit(every, reference) == pytest.approx([0.8, 0.2, 0], abs=0.01)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("count", [2, 3])
def test_no_weights_of_a_grid_are_nearer(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(6, 0.4), count).tolist()
    every = [moments(classes(k, 2000, own) + rng.normal(size=5)) for k, own in enumerate(shares)]
    reference = moments(classes(50, 2000, [1 / 6] * 6))
    found = distance(mixed(every, fit(every, reference)), reference)
    steps = 400 if count == 2 else 60
    grid = [
        np.array([*head, steps - sum(head)]) / steps
        for head in itertools.product(range(steps + 1), repeat=count - 1)
        if sum(head) <= steps
    ]
    least = min(distance(mixed(every, weights), reference) for weights in grid)
    assert found <= least * (1 + 1e-4)
    assert found >= 0.98 * least  # the grid is not that coarse


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_weights_are_whole_parts_and_small_ones_are_none(count: int) -> None:
    rng = np.random.default_rng(count)
    every = [
        moments(classes(k, 500, rng.dirichlet(np.full(6, 0.3)).tolist())) for k in range(count)
    ]
    reference = moments(classes(50, 500, [1 / 6] * 6))
    found = fit(every, reference)
    assert found.sum() == pytest.approx(1, abs=1e-12)
    assert found * PERIOD == pytest.approx(np.rint(found * PERIOD), abs=1e-9)
    assert found[found > 0].min() >= 1e-3
    alone = min(distance(each, reference) for each in every)
    assert distance(mixed(every, found), reference) <= alone
    assert fit(every, reference).tolist() == found.tolist()


def test_a_member_that_is_as_the_data_is_alone() -> None:
    reference = moments(classes(0, 500, [0.5, 0.5]))
    other = moments(classes(1, 500, [1, 0]))
    assert fit([other, reference], reference).tolist() == [0, 1]


def test_members_that_are_alike_or_make_one_sample_are_no_trouble() -> None:
    reference = moments(classes(0, 500, [0.5, 0.5]))
    one = moments(classes(1, 500, [0.8, 0.2]))
    assert fit([one, one, one], reference).sum() == pytest.approx(1)
    points = [Moments(np.full(5, float(at)), np.zeros((5, 5))) for at in (-1, 1)]
    found = fit(points, reference)
    assert np.isfinite(found).all()
    assert fit(points, points[0]).tolist() == [1, 0]
