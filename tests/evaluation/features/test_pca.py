"""Principal components of samples of many values, against NumPy's singular value decomposition."""

from __future__ import annotations

import numpy as np
import pytest

from hpcgan.evaluation.features import pca
from tests.evaluation.made import spread_images


def test_above_4096_values_the_components_are_those_of_the_whole_matrix(world) -> None:
    made = np.random.default_rng(0)
    images = made.normal(size=(100, 40)) * 0.9 ** np.arange(40) @ made.normal(size=(40, 4200))
    found = pca.fit(spread_images(world, images.astype(np.float32).reshape(100, 60, 70, 1)), 8)
    centred = images.astype(np.float32).astype(np.float64) - images.mean(axis=0)
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    assert (found.name, found.axes.shape) == ("pca8", (4200, 8))
    assert np.abs(np.sum(found.axes * axes[:8].T, axis=0)) == pytest.approx(np.ones(8), abs=1e-6)
    coordinates = found.features(images.astype(np.float32).reshape(100, 60, 70, 1))
    assert np.linalg.norm(coordinates, axis=0) == pytest.approx(lengths[:8], rel=1e-6)


def test_fewer_samples_than_components_have_one_less_than_samples(world) -> None:
    images = np.random.default_rng(1).normal(size=(5, 65, 64, 1)).astype(np.float32)
    found = pca.fit(spread_images(world, images))
    centred = images.reshape(5, -1) - images.reshape(5, -1).mean(axis=0)
    lengths = np.linalg.svd(centred.astype(np.float64), compute_uv=False)[:4]
    assert found.dimension == 4
    assert np.linalg.norm(found.features(images), axis=0) == pytest.approx(lengths, rel=1e-5)
