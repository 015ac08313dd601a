"""Copies of training data, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from hpcgan.evaluation.figures.copies import copies, nearest_pairs
from hpcgan.world import World
from tests.evaluation.made import spread


def points(world: World, *numbers: float):
    """Return samples with the feature x and the image x."""
    features = np.array(numbers, float)[:, np.newaxis]
    return spread(world, features, features.astype(np.float32).reshape(-1, 1, 1, 1))


def test_a_copy_is_no_further_away_than_the_next_training_sample(world: World) -> None:
    # Gaps: 0 and 1: 1, 5: 4. 0.4 is a copy of 0; 2.5 is further from 1 than 0 is; 8 and 1 are.
    assert copies(points(world, 0.4, 2.5, 8, 1), points(world, 0, 1, 5)) == {"copies": 3 / 4}


def test_an_exact_copy_of_a_training_sample_that_comes_twice_is_one(world: World) -> None:
    assert copies(points(world, 7, 7.5), points(world, 7, 7, 9)) == {"copies": 1 / 2}


def test_it_is_1_less_the_authenticity_of_alaa_et_al(world: World) -> None:
    random = np.random.default_rng(0)
    known, made = random.normal(size=(530, 6)), random.normal(0.1, 0.9, (300, 6))
    among = cdist(known, known)
    np.fill_diagonal(among, np.inf)
    across = cdist(made, known)
    closest = across.argmin(axis=1)
    is_authentic = among.min(axis=1)[closest] < across.min(axis=1)
    found = copies(spread(world, made), spread(world, known))["copies"]
    assert found == pytest.approx(1 - is_authentic.mean(), rel=1e-12)
    assert 0.2 < found < 0.8


def test_the_closest_pairs_come_first_each_sample_before_its_training_sample(
    world: World,
) -> None:
    samples = points(world, 10, 3, 21, *[1000 + 100 * number for number in range(300)])
    known = points(world, *[-50] * 270, 20, 0, 11.5)
    found = nearest_pairs(samples, known, 3)
    assert found is not None
    assert (found.shape, found.dtype) == ((6, 1, 1, 1), np.float32)
    assert found.ravel().tolist() == [21, 20, 10, 11.5, 3, 0]


def test_of_pairs_at_one_distance_the_lowest_numbers_come_first(world: World) -> None:
    found = nearest_pairs(points(world, 1, 5, 3), points(world, 6, 4, 2, 0), 2)
    assert found is not None
    assert found.ravel().tolist() == [1, 2, 5, 6]


def test_fewer_samples_than_pairs_are_all_of_them(world: World) -> None:
    images = np.arange(3 * 4, dtype=np.uint8).reshape(3, 2, 2, 1)
    features = np.array([[0.0], [1], [2]])
    samples = spread(world, features, images)
    found = nearest_pairs(samples, spread(world, features, images), 16)
    assert found is not None
    np.testing.assert_array_equal(found, np.repeat(images, 2, axis=0))
