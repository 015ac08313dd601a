"""What happens to samples, and which figures see it: real pictures of Fashion-MNIST made worse.

1,000 against 1,000 others, in the 64 principal components of 2,000 real ones; figures as ratios to
those of real pictures. A check of the nearest neighbours must not take low contrast or noise for a
collapse.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from hpcgan.evaluation.drawing import choose
from hpcgan.evaluation.features import pca, with_features
from hpcgan.evaluation.figures.diversity import vendi
from hpcgan.evaluation.figures.frechet import distance, moments
from hpcgan.evaluation.figures.neighbours import nearest
from hpcgan.evaluation.figures.precision_recall import precision_recall
from hpcgan.evaluation.samples import Samples
from hpcgan.world import World
from tests.evaluation.made import spread

COUNT = 1000


class Data(NamedTuple):
    """Two disjoint sets of real pictures, and what others are made from."""

    reference: Samples
    second: Samples
    extractor: pca.PrincipalComponents
    pictures: np.ndarray
    classes: np.ndarray


@pytest.fixture(scope="module")
def data(world: World, fashion_mnist: Path) -> Data:
    def read(name: str, header: int) -> np.ndarray:
        content = gzip.decompress((fashion_mnist / name).read_bytes())
        return np.frombuffer(content, np.uint8, offset=header)

    pictures = read("train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1)
    classes = read("train-labels-idx1-ubyte.gz", 8)
    reference, second, others = choose(0, len(pictures), COUNT, COUNT, 20 * COUNT)
    both = spread(world, np.zeros((2 * COUNT, 0)), pictures[[*reference, *second]])
    extractor = pca.fit(both)
    assert extractor.name == "pca64"
    made = [
        with_features(extractor, _samples(world, pictures[each])) for each in (reference, second)
    ]
    order = np.random.default_rng(0).permutation(others)
    return Data(made[0], made[1], extractor, pictures[order], classes[order])


def _samples(world: World, pictures: np.ndarray) -> Samples:
    return spread(world, np.zeros((len(pictures), 0)), pictures)


def figures(samples: Samples, data: Data) -> dict[str, float]:
    """Return frechet and recall as they are, the others over those of real pictures."""
    floor = precision_recall(data.second, data.reference)
    found = precision_recall(samples, data.reference)
    of = moments(samples)
    variance, real = (float(np.trace(each.covariance)) for each in (of, moments(data.reference)))
    gaps = [float(np.sqrt(np.median(nearest(each, each, 1)))) for each in (samples, data.reference)]
    return {
        "frechet": distance(of, moments(data.reference)),
        "recall": found["recall"],
        "coverage": found["coverage"] / floor["coverage"],
        "diversity": vendi(samples) / vendi(data.reference),
        "spread": variance / real,
        "nearest": float(gaps[0] / np.sqrt(variance) / (gaps[1] / np.sqrt(real))),
    }


def worse(name: str, data: Data) -> np.ndarray:
    """Return 1,000 pictures, (1000, 28, 28, 1) uint8."""
    pictures, classes = data.pictures, data.classes
    if name == "a class dropped":
        return pictures[classes != 8][:COUNT]
    if name == "two classes left":
        return pictures[(classes == 1) | (classes == 8)][:COUNT]
    if name == "100 distinct samples":
        return np.tile(pictures[:100], (COUNT // 100, 1, 1, 1))
    if name == "40% contrast":
        mean = pictures.mean(axis=0)
        return np.rint(mean + 0.4 * (pictures[:COUNT] - mean)).astype(np.uint8)
    if name == "noise":
        noise = np.random.default_rng(1).normal(0, 40, (COUNT, 28, 28, 1))
        return np.rint(np.clip(pictures[:COUNT] + noise, 0, 255)).astype(np.uint8)
    return pictures[:COUNT]


# Bounds of each figure: the values of five choices of the pictures lie within, with as much room
# again between them and what another defect shows.
BOUNDS = {
    "real": {
        "frechet": (2, 4.5),
        "recall": (0.87, 0.96),
        "coverage": (0.96, 1.04),
        "diversity": (0.9, 1.05),
        "spread": (0.94, 1.03),
        "nearest": (0.9, 1.1),
    },
    "a class dropped": {
        "frechet": (4.7, 10),
        "recall": (0.8, 0.9),
        "coverage": (0.88, 0.98),
        "diversity": (0.84, 0.98),
        "spread": (0.92, 1.0),
        "nearest": (0.87, 1.08),
    },
    "two classes left": {
        "frechet": (75, 110),
        "recall": (0.5, 0.72),
        "coverage": (0.28, 0.39),
        "diversity": (0.57, 0.73),
        "spread": (0.9, 1.02),
        "nearest": (0.75, 0.91),
    },
    "100 distinct samples": {
        "frechet": (11, 25),
        "recall": (0, 0),
        "coverage": (0.33, 0.52),
        "diversity": (0.78, 0.96),
        "spread": (0.9, 1.02),
        "nearest": (0, 0),
    },
    "40% contrast": {
        "frechet": (80, 100),
        "recall": (0, 0.01),
        "coverage": (0.24, 0.38),
        "diversity": (0.9, 1.05),
        "spread": (0.15, 0.165),
        "nearest": (0.9, 1.1),
    },
    "noise": {
        "frechet": (6, 11),
        "recall": (0.77, 0.9),
        "coverage": (0.9, 0.99),
        "diversity": (0.95, 1.12),
        "spread": (0.79, 0.86),
        "nearest": (0.98, 1.2),
    },
}


@pytest.mark.parametrize("name", BOUNDS)
def test_each_defect_shows_in_its_figures_alone(world: World, data: Data, name: str) -> None:
    made = with_features(data.extractor, _samples(world, worse(name, data)))
    found = figures(made, data)
    bounds = BOUNDS[name]
    assert found.keys() == bounds.keys()
    outside = {
        key: value for key, value in found.items() if not bounds[key][0] <= value <= bounds[key][1]
    }
    assert not outside
