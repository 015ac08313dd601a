"""Drawn steps have the mean that the model expects, within its standard error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hpcgan.scaling.model import Link, Machine, Work, step
from hpcgan.scaling.simulate import simulate

LINK = Link(1e-3, 1e8)
MACHINE = Machine(LINK, LINK, ranks_per_node=2, checkpoint_bandwidth=1e8)
WORK = Work(
    samples=8,
    compute_fixed=0.2,
    compute_per_sample=0.1,
    variation=0.2,
    gradient_bytes=2e7,
    overhead=1e-3,
    checkpoint_bytes=1e7,
    checkpoint_every=10,
)


@pytest.mark.parametrize(
    "work",
    [WORK, replace(WORK, variation=1.0), replace(WORK, overlap=0.1), replace(WORK, samples=1)],
)
@pytest.mark.parametrize("ranks", [1, 2, 3, 16])
def test_the_mean_is_the_expectation(work: Work, ranks: int) -> None:
    drawn = simulate(MACHINE, work, ranks, 4000, np.random.default_rng(ranks))
    error = drawn.std() / np.sqrt(len(drawn))
    assert abs(drawn.mean() - step(MACHINE, work, ranks).total) < 3 * error


def test_input_that_bounds_the_steps_bounds_the_drawn_ones() -> None:
    shared = replace(MACHINE, file_system_bandwidth=1e3)
    work = replace(WORK, sample_bytes=100)
    drawn = simulate(shared, work, 4, 1000, np.random.default_rng(0))
    parts = step(shared, work, 4)
    assert parts.bottleneck == "input"
    assert drawn.mean() == pytest.approx(parts.total, rel=1e-3)


def test_the_seed_decides_the_draws() -> None:
    first, same, other = (
        simulate(MACHINE, WORK, 4, 5, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_a_hundred_thousand_ranks() -> None:
    drawn = simulate(MACHINE, WORK, 100_000, 20, np.random.default_rng(0))
    expected = step(MACHINE, WORK, 100_000).total
    assert abs(drawn.mean() - expected) < 4 * drawn.std() / np.sqrt(20)


def test_equal_ranks_make_equal_steps_but_for_checkpoints() -> None:
    drawn = simulate(MACHINE, replace(WORK, variation=0), 4, 10, np.random.default_rng(0))
    assert drawn[:9] == pytest.approx(drawn[0])
    assert drawn[9] - drawn[0] == pytest.approx(0.1)
