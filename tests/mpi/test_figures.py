"""Every figure, on any number of ranks: as by one rank that has all samples."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hpcgan.evaluation.figures import two_sample
from hpcgan.evaluation.figures.copies import nearest_pairs
from hpcgan.evaluation.figures.neighbours import nearest
from hpcgan.evaluation.figures.table import FIGURES
from hpcgan.evaluation.samples import Samples
from hpcgan.group import Group
from tests.evaluation.made import spread

# Samples, reference and dimension: blocks that do not come out even on 2 to 4 ranks, ranks without
# samples of one or both sets, fewer samples than dimensions.
CASES = [(1030, 700, 8), (12, 40, 16)]
# Ratios of integers, which are the same to the last bit.
COUNTED = {"precision", "recall", "density", "coverage", "copies", "histogram", "missing_classes"}


def sets(group: Group, n: int, m: int, d: int) -> tuple[Samples, Samples]:
    """Return showers with energies and features, of which some are equal in all blocks."""
    made = []
    for count, shift in ((n, 0.2), (m, 0.0)):
        random = np.random.default_rng(count)
        features = random.normal(shift, 1, (count, d))
        features[::100] = np.arange(d)
        labels = random.uniform(1, 5, count).astype(np.float32)
        showers = random.gamma(0.5, size=(count, 2, 4, 5, 1)) * labels.reshape(-1, 1, 1, 1, 1)
        own = spread(group, features, showers.astype(np.float32), labels)
        shares = random.dirichlet([0.3] * 5, count)[own.numbers]
        made.append(dataclasses.replace(own, probabilities=shares))
    return made[0], made[1]


def cheap_auc(ours: np.ndarray, theirs: np.ndarray, seed: int) -> float:
    """Return, instead of a classifier's, a figure that depends on all features and their order."""
    sums = [float(np.arange(len(each)) @ each.astype(float).sum(axis=1)) for each in (ours, theirs)]
    return sums[0] + 2 * sums[1] + seed**2


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_that_of_one_rank(world, alone, monkeypatch, case, name):
    monkeypatch.setattr(two_sample, "classifier_auc", cheap_auc)
    found = FIGURES[name](*sets(world, *case))
    expected = FIGURES[name](*sets(alone, *case))
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert {key: found[key] for key in COUNTED & found.keys()} == {
        key: expected[key] for key in COUNTED & found.keys()
    }
    assert world.gather_json(found) == [found] * world.size
    assert expected or (name, case) == ("frechet_limit", CASES[-1])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_distances_and_pairs_are_the_same_bit_for_bit(world, alone, case):
    (ours, theirs), (all_ours, all_theirs) = sets(world, *case), sets(alone, *case)
    for pair, whole in (
        ((ours, theirs), (all_ours, all_theirs)),
        ((theirs, theirs), (all_theirs, all_theirs)),
    ):
        expected = nearest(*whole, 4)[pair[0].numbers]
        np.testing.assert_array_equal(nearest(*pair, 4), expected)
    found, expected = nearest_pairs(ours, theirs), nearest_pairs(all_ours, all_theirs)
    assert (found is None) == (not world.is_root)
    if found is not None:
        np.testing.assert_array_equal(found, expected)


def test_a_rank_without_showers_may_have_no_labels_either(world, alone):
    ours, theirs = sets(world, *CASES[-1])
    if not len(ours.images):
        ours = dataclasses.replace(ours, labels=None)
    found = FIGURES["physics"](ours, theirs)
    expected = FIGURES["physics"](*sets(alone, *CASES[-1]))
    assert "energy_ratio" in found
    assert found == pytest.approx(expected, rel=1e-6)
