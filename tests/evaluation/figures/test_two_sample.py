"""The two-sample test: what classifiers tell apart and what they cannot."""

from __future__ import annotations

import numpy as np
import pytest

from hpcgan.evaluation.figures import two_sample as module
from hpcgan.evaluation.figures.two_sample import memory, two_sample
from hpcgan.world import World
from tests.evaluation.made import spread


@pytest.fixture(autouse=True)
def shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPEATS", 2)
    monkeypatch.setattr(module, "EPOCHS", 6)


def test_what_is_far_apart_is_told_apart_in_any_units(world: World) -> None:
    random = np.random.default_rng(0)
    scales = np.array([1e-6, 1e-7, 0, 2e-6])
    ours, theirs = (random.normal(shift, 1, (n, 4)) * scales for shift, n in ((4, 150), (0, 140)))
    found = two_sample(spread(world, ours), spread(world, theirs))
    assert found["two_sample"] > 0.97
    assert found["two_sample_spread"] < 0.03


def test_of_one_distribution_they_guess_and_repeats_differ() -> None:
    random = np.random.default_rng(1)
    ours, theirs = random.normal(size=(200, 3)), random.normal(size=(250, 3))
    found = [module.classifier_auc(ours, theirs, seed) for seed in range(2)]
    assert all(abs(each - 0.5) < 0.3 for each in found)
    assert found[0] != found[1]


def test_the_mean_and_the_deviation_of_the_repeats(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REPEATS", 4)
    features = np.arange(600.0).reshape(300, 2)

    def seen(ours: np.ndarray, theirs: np.ndarray, seed: int) -> float:
        np.testing.assert_array_equal(ours, features)
        np.testing.assert_array_equal(theirs, -features[:7])
        return [0.5, 0.7, 0.6, 0.6][seed]

    monkeypatch.setattr(module, "classifier_auc", seen)
    found = two_sample(spread(world, features), spread(world, -features[:7]))
    assert found == pytest.approx({"two_sample": 0.6, "two_sample_spread": np.sqrt(0.02 / 3)})


def test_samples_are_divided_60_20_20_as_many_of_both() -> None:
    ours, theirs = np.arange(10.0)[:, np.newaxis], np.arange(100.0, 125)[:, np.newaxis]
    parts = module.divide(np.random.Generator(np.random.Philox(key=0)), ours, theirs)
    assert [len(part.features) for part in parts] == [12, 4, 4]
    for part in parts:
        assert part.is_real.tolist() == (part.features[:, 0] >= 100).astype(float).tolist()
        assert part.is_real.mean() == 0.5
    together = np.concatenate([part.features for part in parts])
    assert len(np.unique(together)) == 20


def test_its_network_is_that_of_calochallenge() -> None:
    network = module.untrained(7, 3)
    shapes = [tuple(each.shape) for each in network.weights]
    expected = [(7, 512), (512,), (512, 512), (512,), (512, 512), (512,), (512, 1), (1,)]
    assert shapes == expected
    widest = np.abs(network.weights[2].numpy()).max()
    assert 0.99 < widest * np.sqrt(512) <= 1


def test_the_memory_that_it_needs() -> None:
    # 1,000 + 3,000 features and 2 x 1,000 shuffled ones of 4 bytes; 5 copies of the weights.
    expected = 4 * ((4000 + 2000) * 64 + 5 * (64 * 512 + 2 * 512 * 512))
    assert memory(1000, 3000, 64) == memory(3000, 1000, 64) == expected
