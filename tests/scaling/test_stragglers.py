"""Expected maxima against values that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from hpcgan.scaling.stragglers import expected_maximum, slowest_of


@pytest.mark.parametrize(
    ("draws", "maximum"),
    [(1, 0.0), (2, 1 / math.sqrt(math.pi)), (3, 1.5 / math.sqrt(math.pi)), (10, 1.53875273)],
)
def test_normal_draws(draws: int, maximum: float) -> None:
    assert expected_maximum(stats.norm.isf, draws) == pytest.approx(maximum, abs=1e-8)


@pytest.mark.parametrize("draws", [1, 2, 5, 1000, 100_000])
def test_exponential_draws_give_harmonic_numbers(draws: int) -> None:
    harmonic = sum(1 / n for n in range(1, draws + 1))
    assert expected_maximum(stats.expon.isf, draws) == pytest.approx(harmonic, rel=1e-9)
    assert slowest_of(draws, 1.0) == pytest.approx(harmonic, rel=1e-9)


@pytest.mark.parametrize("draws", [1, 9, 9999])
def test_uniform_draws(draws: int) -> None:
    assert expected_maximum(stats.uniform.isf, draws) == pytest.approx(draws / (draws + 1))


def test_small_variations_are_those_of_a_normal_distribution() -> None:
    for ranks in (2, 512, 100_000):
        normal = expected_maximum(stats.norm.isf, ranks)
        assert (slowest_of(ranks, 1e-5) - 1) / 1e-5 == pytest.approx(normal, rel=1e-3)


def test_equal_ranks_and_one_rank_wait_for_nobody() -> None:
    assert slowest_of(1000, 0.0) == 1
    assert slowest_of(1, 0.5) == 1


def test_the_slowest_of_more_ranks_and_of_more_different_ones_is_slower() -> None:
    over_ranks = [slowest_of(ranks, 0.1) for ranks in (1, 2, 3, 10, 1000, 100_000)]
    assert over_ranks == sorted(set(over_ranks))
    over_variations = [slowest_of(10, variation) for variation in np.linspace(0, 1, 11)]
    assert over_variations == sorted(set(over_variations))
