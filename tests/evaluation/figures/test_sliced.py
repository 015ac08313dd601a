"""The sliced Wasserstein distance, by hand and against the package POT."""

from __future__ import annotations

import numpy as np
import pytest

from hpcgan.evaluation.figures.sliced import directions, sliced, squared_wasserstein
from hpcgan.world import World
from tests.evaluation.made import spread


def test_directions_are_unit_vectors_that_differ_from_batch_to_batch() -> None:
    first, second = directions(7, 0), directions(7, 1)
    assert first.shape == (7, 64)
    np.testing.assert_allclose(np.linalg.norm(first, axis=0), 1, rtol=1e-12)
    np.testing.assert_array_equal(first, directions(7, 0))
    assert len(np.unique(np.hstack([first, second])[0])) == 128


def test_along_a_line_by_hand() -> None:
    # A third of the mass goes from 1 to 0 and 5 stays; the middle third of 4 goes half to each.
    a, b = np.array([[1.0, 4, 5]]), np.array([[0.0, 5]])
    assert squared_wasserstein(a, b).tolist() == [
        pytest.approx(1 / 3 * 1 + 1 / 6 * 16 + 1 / 6 * 1, rel=1e-12)
    ]


def test_a_shift_of_one_feature_is_its_length(world: World) -> None:
    features = np.random.default_rng(0).normal(size=(300, 1))
    found = sliced(spread(world, features), spread(world, features[::-1] + 3))
    assert found == {"sliced": pytest.approx(3, rel=1e-12)}


@pytest.mark.parametrize(("n", "m"), [(300, 300), (270, 97)])
def test_it_is_that_of_pot(world: World, n: int, m: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("TENSORFLOW", "PYTORCH", "JAX", "CUPY"):  # it would import them all
        monkeypatch.setenv(f"POT_BACKEND_DISABLE_{library}", "1")
    import ot

    random = np.random.default_rng(n + m)
    a, b = random.normal(0.5, 2, (n, 9)), random.normal(size=(m, 9))
    axes = np.hstack([directions(9, number) for number in range(16)])
    expected = ot.sliced_wasserstein_distance(a, b, projections=axes, p=2)
    found = sliced(spread(world, a), spread(world, b))
    assert found == {"sliced": pytest.approx(float(expected), rel=1e-9)}
