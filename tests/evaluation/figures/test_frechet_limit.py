"""The Fréchet distance of infinitely many samples."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from hpcgan.evaluation.figures.frechet import frechet, frechet_limit
from hpcgan.world import World
from tests.evaluation.made import spread


def by_the_formula(a: np.ndarray, b: np.ndarray) -> float:
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    return float(np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a + cov_b - 2 * root))


@pytest.mark.parametrize("n", [700, 60])
def test_it_is_where_the_line_through_15_nested_parts_meets_0(world: World, n: int) -> None:
    random = np.random.default_rng(n)
    d = 6
    samples, reference = random.normal(0.2, 1, (n, d)), random.normal(50, 2, (400, d))
    order = np.random.Generator(np.random.Philox(key=0)).permutation(n)
    sizes = np.rint(np.linspace(max(n / 10, d + 1), n, 15)).astype(int)
    distances = [by_the_formula(samples[order < size], reference) for size in sizes]
    design = np.stack([np.ones(15), 1 / sizes], axis=1)
    expected = np.linalg.lstsq(design, distances, rcond=None)[0][0]
    found = frechet_limit(spread(world, samples), spread(world, reference))
    assert found == {"frechet_limit": pytest.approx(expected, rel=1e-8)}


def test_of_one_distribution_it_is_near_0_where_the_distance_is_not(world: World) -> None:
    random = np.random.default_rng(1)
    ours, theirs = random.normal(size=(600, 20)), random.normal(size=(20000, 20))
    samples, reference = spread(world, ours), spread(world, theirs)
    distance = frechet(samples, reference)["frechet"]
    assert distance > 0.15
    assert abs(frechet_limit(samples, reference)["frechet_limit"]) < distance / 2


def test_files_that_are_sorted_by_class_do_not_mislead_it(world: World) -> None:
    random = np.random.default_rng(2)
    features = random.normal(size=(2000, 3)) + np.repeat([0, 8], 1000)[:, np.newaxis]
    reference = spread(world, random.permutation(features))
    limit = frechet_limit(spread(world, features), reference)["frechet_limit"]
    assert abs(limit) < 0.1


def test_it_needs_more_samples_than_dimensions_and_one(world: World) -> None:
    random = np.random.default_rng(3)
    reference = spread(world, random.normal(size=(50, 4)))
    assert frechet_limit(spread(world, random.normal(size=(5, 4))), reference) == {}
    found = frechet_limit(spread(world, random.normal(size=(6, 4))), reference)
    assert np.isfinite(found["frechet_limit"])
