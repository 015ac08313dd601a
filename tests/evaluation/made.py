"""Sets of samples, of which each rank holds its part, for tests of the evaluation."""

from __future__ import annotations

import dataclasses

import numpy as np

from hpcgan.evaluation.samples import Samples
from hpcgan.group import Group


def spread(
    group: Group,
    features: np.ndarray,
    images: np.ndarray | None = None,
    labels: np.ndarray | None = None,
) -> Samples:
    """Return this rank's part of samples that are given whole; images are zeros if not given."""
    if images is None:
        images = np.zeros((len(features), 1, 1, 1), np.uint8)
    whole = Samples(group, len(features), images, features)
    own = whole.numbers
    return Samples(
        group, len(features), images[own], features[own], None if labels is None else labels[own]
    )


def spread_images(
    group: Group,
    images: np.ndarray,
    labels: np.ndarray | None = None,
    probabilities: np.ndarray | None = None,
) -> Samples:
    """Return this rank's part of samples without features."""
    samples = spread(group, np.zeros((len(images), 0)), images, labels)
    if probabilities is None:
        return samples
    return dataclasses.replace(samples, probabilities=probabilities[samples.numbers])
