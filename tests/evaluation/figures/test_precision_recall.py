"""Precision, recall, density and coverage, by hand and against the package prdc."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from prdc import compute_prdc

from hpcgan.evaluation.figures.precision_recall import precision_recall
from hpcgan.world import World
from tests.evaluation.made import spread


def points(world: World, *numbers: float):
    return spread(world, np.array(numbers, float)[:, np.newaxis])


def test_by_hand_with_the_nearest_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpcgan.evaluation.figures.precision_recall.NEIGHBOURS", 1)
    # Balls of the reference: 0 and 2 reach 2, 6 and 7 reach 1. Of the samples: 1 and 4 reach 3,
    # 20 reaches 16. On a surface: 4 of the ball of 2, and 7 of that of 4.
    found = precision_recall(points(world, 1, 4, 20), points(world, 0, 2, 6, 7))
    assert found == {
        "precision": 1 / 3,  # 1
        "density": 2 / 3,  # 1, in two
        "coverage": 2 / 4,  # the balls of 0 and 2
        # 0 and 2 by 1, 6 by 4 and 20, 7 by 20.
        "recall": 4 / 4,
    }


def test_a_ball_is_without_its_surface(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpcgan.evaluation.figures.precision_recall.NEIGHBOURS", 1)
    found = precision_recall(points(world, 1, 2), points(world, 0, 1))
    # 2 is on the surface of the ball of 1, and 0 on that of the ball of 1 of the samples.
    assert found == {"precision": 1 / 2, "density": 1 / 2, "coverage": 1 / 2, "recall": 1 / 2}


@pytest.mark.parametrize(("n", "m", "shift"), [(300, 270, 0.0), (90, 530, 0.5), (270, 260, 3.0)])
def test_they_are_those_of_prdc(world: World, n: int, m: int, shift: float) -> None:
    random = np.random.default_rng(n)
    real, fake = random.normal(size=(m, 4)), random.normal(shift, 0.8, (n, 4))
    with contextlib.redirect_stdout(io.StringIO()):
        expected = compute_prdc(real, fake, 5)
    found = precision_recall(spread(world, fake), spread(world, real))
    assert found == pytest.approx(expected, rel=1e-12)


def test_on_a_lattice_where_ties_are_the_rule_they_are_exact(world: World) -> None:
    random = np.random.default_rng(1)
    real, fake = (random.integers(0, 6, (n, 3)).astype(float) for n in (280, 300))
    with contextlib.redirect_stdout(io.StringIO()):
        expected = compute_prdc(real, fake, 5)
    found = precision_recall(spread(world, fake), spread(world, real))
    assert found == pytest.approx(expected, rel=1e-12)
