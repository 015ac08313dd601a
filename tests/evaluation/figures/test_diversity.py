"""The Vendi score, by hand and against the package vendi-score."""

from __future__ import annotations

import numpy as np
import pytest
from vendi_score import vendi as published

from hpcgan.evaluation.figures.diversity import diversity, vendi
from hpcgan.world import World
from tests.evaluation.made import spread


def test_it_counts_directions_that_come_equally_often(world: World) -> None:
    axes = np.eye(5)[[0, 1, 2, 0, 1, 2]] * np.arange(1, 7)[:, np.newaxis]
    assert vendi(spread(world, axes)) == pytest.approx(3, rel=1e-12)
    assert vendi(spread(world, np.ones((300, 4)))) == pytest.approx(1, rel=1e-9)


def test_a_third_and_two_thirds_by_hand(world: World) -> None:
    samples = spread(world, np.eye(2)[[0, 0, 1]])
    assert vendi(samples) == pytest.approx(3 / 2 ** (2 / 3), rel=1e-12)


@pytest.mark.parametrize(("n", "d"), [(600, 8), (10, 30)])
def test_it_is_that_of_vendi_score_whatever_the_reference(world: World, n: int, d: int) -> None:
    features = np.random.default_rng(n).normal(0.5, 1, (n, d)) * np.arange(1, d + 1)
    samples = spread(world, features)
    expected = published.score_dual(features)
    assert diversity(samples, spread(world, features[:3])) == {
        "diversity": pytest.approx(expected, rel=1e-9)
    }


def test_a_sample_without_direction_adds_none(world: World) -> None:
    features = np.concatenate([np.eye(2), np.zeros((1, 2))])
    assert vendi(spread(world, features)) == pytest.approx(published.score_dual(features))
