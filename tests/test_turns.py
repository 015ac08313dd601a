"""Sources of samples take turns in exact proportions, wherever one looks."""

from __future__ import annotations

import numpy as np
import pytest

from hpcgan.turns import PERIOD, Turns, parts


def drawn(sources: int, concentration: float) -> np.ndarray:
    """Return proportions of some sources, at least 1 each."""
    rng = np.random.default_rng(sources)
    return 1 + parts_of(rng.dirichlet(np.full(sources, concentration)), PERIOD - sources)


def parts_of(weights: np.ndarray, total: int) -> np.ndarray:
    whole = np.floor(weights * total).astype(np.int64)
    whole[0] += total - whole.sum()
    return whole


PROPORTIONS = [
    np.array([PERIOD]),
    np.array([5000, 5000]),
    np.array([7512, 2488]),
    np.array([3333, 3333, 3334]),
    np.array([5000, *[100] * 50]),
    drawn(10, 0.3),
    drawn(300, 1.0),
]


@pytest.mark.parametrize("proportions", PROPORTIONS, ids=len)
def test_after_every_sample_each_source_is_less_than_one_from_its_proportion(
    proportions: np.ndarray,
) -> None:
    source, _ = Turns(proportions).of(np.arange(2 * PERIOD + 7))
    counts = np.arange(1, len(source) + 1)
    for each, proportion in enumerate(proportions):
        made = np.cumsum(source == each)
        assert np.abs(made * PERIOD - counts * proportion).max() < PERIOD


@pytest.mark.parametrize("proportions", PROPORTIONS, ids=len)
def test_a_sources_samples_are_numbered_without_gaps(proportions: np.ndarray) -> None:
    turns, samples = Turns(proportions), np.arange(PERIOD + 1234)
    source, number = turns.of(samples)
    for each in range(len(proportions)):
        own = samples[source == each]
        assert number[own].tolist() == list(range(len(own)))
        assert turns.samples(each, number[own]).tolist() == own.tolist()
        assert turns.made(each, len(samples)) == len(own)


def test_a_sample_far_on_is_as_if_all_before_had_been_made() -> None:
    proportions = np.array([7512, 2488])
    turns = Turns(proportions)
    source, number = turns.of(np.arange(10**6))
    assert np.bincount(source).tolist() == (proportions * 100).tolist()
    far = turns.of(np.array([10**6 - 1]))
    assert (far[0][0], far[1][0]) == (source[-1], number[-1])
    huge = 10**12
    assert turns.made(0, huge) + turns.made(1, huge) == huge


def test_turns_of_two_by_hand() -> None:
    source, number = Turns(np.array([7500, 2500])).of(np.arange(8))
    assert number[source == 0].tolist() == list(range(6))
    assert number[source == 1].tolist() == [0, 1]
    assert sorted(source[:4].tolist()) == [0, 0, 0, 1]


def test_weights_become_whole_parts() -> None:
    assert parts(np.array([0.25, 0.75])).tolist() == [2500, 7500]
    assert parts(np.array([1.0, 1.0, 1.0])).tolist() == [3334, 3333, 3333]
    assert parts(np.array([0.0, 2.0])).tolist() == [0, PERIOD]
    found = parts(np.random.default_rng(0).random(77))
    assert found.sum() == PERIOD
