"""The kernel distance and its error, against the formula of torch-fidelity."""

from __future__ import annotations

import numpy as np
import pytest

from hpcgan.evaluation.figures.kernel import kernel
from hpcgan.world import World
from tests.evaluation.made import spread


def kid(x: np.ndarray, y: np.ndarray) -> float:
    """Return the unbiased squared MMD as torch-fidelity has it (degree 3, gamma 1/d, coef0 1)."""
    xx, yy, xy = ((a @ b.T / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    n, m = len(x), len(y)
    within = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(within - 2 * xy.sum() / (n * m))


def test_by_hand(world: World) -> None:
    # d = 1: pairs within 1 and 3: 4^3; within 0 and 0: 1; between: 1 each.
    found = kernel(spread(world, np.array([[1.0], [3.0]])), spread(world, np.zeros((2, 1))))
    assert found == {"kernel": 64 + 1 - 2 * 1.0}


@pytest.mark.parametrize(("n", "m"), [(300, 520), (41, 47)])
def test_it_is_that_of_torch_fidelity_with_the_error_of_20_parts(
    world: World, n: int, m: int
) -> None:
    random = np.random.default_rng(n)
    x, y = random.normal(0.3, 1.2, (n, 6)), random.normal(size=(m, 6))
    found = kernel(spread(world, x), spread(world, y))
    parts = [kid(x[part::20], y[part::20]) for part in range(20)]
    expected = {"kernel": kid(x, y), "kernel_error": np.std(parts, ddof=1) / np.sqrt(20)}
    assert found == pytest.approx(expected, rel=1e-9)


def test_of_few_samples_there_are_fewer_parts(world: World) -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(7, 2)), random.normal(1, 1, (50, 2))
    parts = [kid(x[part::3], y[part::3]) for part in range(3)]
    found = kernel(spread(world, x), spread(world, y))
    assert found["kernel_error"] == pytest.approx(np.std(parts, ddof=1) / np.sqrt(3), rel=1e-9)


def test_of_one_distribution_it_is_within_its_error_of_0_and_may_be_below(world: World) -> None:
    random = np.random.default_rng(5)
    sets = [spread(world, random.normal(size=(200, 8))) for _ in range(12)]
    found = [kernel(a, b) for a, b in zip(sets[::2], sets[1::2], strict=True)]
    assert all(abs(each["kernel"]) < 3 * each["kernel_error"] for each in found)
    assert min(each["kernel"] for each in found) < 0
