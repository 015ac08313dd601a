"""Components and classifiers fitted by all ranks are those of one rank, up to rounding."""

from __future__ import annotations

import numpy as np
import pytest

from hpcgan.evaluation.features import pca
from hpcgan.evaluation.figures.class_figures import class_counts, missing_classes, score
from tests.evaluation.made import spread_images


def data(count: int, *shape: int) -> np.ndarray:
    made = np.random.default_rng(0)
    values = int(np.prod(shape))
    images = made.normal(size=(count, 12)) * 0.8 ** np.arange(12) @ made.normal(size=(12, values))
    return images.reshape(count, *shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(8, 8, 1), (65, 65, 1)])
@pytest.mark.parametrize("count", [9, 300])
def test_components_are_those_of_all_samples(world, shape, count):
    """With 9 samples all ranks but the first hold none."""
    images = data(count, *shape)
    samples = spread_images(world, images)
    found = pca.fit(samples, 6)
    centred = images.reshape(count, -1).astype(np.float64)
    centred -= centred.mean(axis=0)
    squares, vectors = np.linalg.eigh(centred @ centred.T)
    lengths = np.sqrt(squares[::-1][:6])
    axes = centred.T @ vectors[:, ::-1][:, :6] / lengths
    coordinates = found.features(images)
    assert np.linalg.norm(coordinates, axis=0) == pytest.approx(lengths, rel=1e-6)
    assert np.abs((found.axes * axes).sum(axis=0)) == pytest.approx(np.ones(6), abs=1e-6)
    assert world.gather_json(found.identity) == [found.identity] * world.size


def test_class_figures_are_those_of_all_samples(world):
    probabilities = np.random.default_rng(1).dirichlet(np.ones(4) / 4, 700)
    samples = spread_images(world, np.zeros((700, 1, 1, 1)), probabilities=probabilities)
    reference = spread_images(world, np.zeros((4, 1, 1, 1)), probabilities=np.eye(4))
    expected = np.bincount(probabilities.argmax(axis=1), minlength=4)
    assert class_counts(samples).tolist() == expected.tolist()
    mean = probabilities.mean(axis=0)
    divergence = (probabilities * np.log(probabilities / mean)).sum(axis=1).mean()
    assert score(samples, reference)["score"] == pytest.approx(np.exp(divergence), rel=1e-12)
    assert missing_classes(samples, reference) == {"missing_classes": 0.0}


def test_a_classifier_is_that_of_one_rank(world):
    """Its gradients are summed over the ranks; one rank's are those of a group of one."""
    from hpcgan.evaluation.features.classifier_fit import train

    images, labels = data(300, 4, 4, 1), np.arange(300) % 3
    images += labels[:, None, None, None]
    alone = world.split(world.rank)
    found = [
        train(
            spread_images(each, images, labels),
            spread_images(each, images[:60], labels[:60]),
            3,
            (),
            7,
            12,
        )
        for each in (world, alone)
    ]
    assert found[0].weights == pytest.approx(found[1].weights, abs=2e-3)
    assert found[0].mean == pytest.approx(found[1].mean, rel=1e-9)
    assert found[0].accuracy == found[1].accuracy
