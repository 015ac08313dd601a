"""Figures of classes, against SciPy's entropies and counts by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats

from hpcgan.errors import ConfigError
from hpcgan.evaluation.figures.class_figures import class_counts, missing_classes, score
from tests.evaluation.made import spread_images


def of(world, probabilities: np.ndarray):
    return spread_images(
        world, np.zeros((len(probabilities), 1, 1, 1)), probabilities=probabilities
    )


def certain(*classes: int) -> np.ndarray:
    return np.eye(4)[list(classes)]


def test_the_score_is_that_of_salimans_et_al(world) -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(5) / 3, 600)
    divergences = stats.entropy(probabilities, probabilities.mean(axis=0), axis=1)
    found = of(world, probabilities)
    assert score(found, found) == {"score": pytest.approx(np.exp(divergences.mean()))}


def test_the_score_goes_from_one_to_the_number_of_classes(world) -> None:
    even, one = of(world, certain(0, 1, 2, 3)), of(world, certain(2, 2, 2))
    assert score(even, even)["score"] == pytest.approx(4)
    assert score(one, even)["score"] == pytest.approx(1)


def test_a_class_is_missing_under_three_tenths_of_its_share(world) -> None:
    reference = of(world, certain(*[0] * 10, *[1] * 10))
    # Three of 20 are 0.3 of the reference's half exactly; two are under it.
    exactly, under = certain(*[0] * 17, *[1] * 3), certain(*[0] * 18, *[1] * 2)
    assert missing_classes(of(world, exactly), reference) == {"missing_classes": 0.0}
    assert missing_classes(of(world, under), reference) == {"missing_classes": 1.0}
    assert class_counts(of(world, under)).tolist() == [18, 2, 0, 0]


def test_without_a_classifier_there_are_no_classes(world) -> None:
    samples = dataclasses.replace(of(world, certain(0, 1)), probabilities=None)
    for figure in (score, missing_classes):
        with pytest.raises(ConfigError, match="--features classifier:FILE alone"):
            figure(samples, samples)
