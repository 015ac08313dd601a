"""Samples that tests of the evaluation share."""

from __future__ import annotations

import numpy as np

from hpcgan.blocks import own_blocks
from hpcgan.evaluation.samples import Samples
from hpcgan.group import Group


def spread(
    group: Group,
    images: np.ndarray,
    labels: np.ndarray | None = None,
    probabilities: np.ndarray | None = None,
) -> Samples:
    """Return samples of which each rank holds its blocks."""
    blocks = own_blocks(group.rank, group.size, len(images))
    own = np.concatenate([np.zeros(0, np.int64), *map(np.asarray, blocks)]).astype(np.int64)
    return Samples(
        group,
        len(images),
        images[own],
        np.zeros((len(own), 0)),
        None if labels is None else labels[own],
        None if probabilities is None else probabilities[own],
    )
