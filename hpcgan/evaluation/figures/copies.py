"""Does a generator copy its training data? How close its samples are to them, and which are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hpcgan.evaluation.figures.neighbours import distances, nearest
from hpcgan.evaluation.samples import Samples


class Closest(NamedTuple):
    """The training sample that is closest to each of this rank's samples; arrays (own,).

    Attributes:
        squared: its squared distance.
        number: its number; of several at the same distance, the lowest.
        gap: its own squared distance to the closest other training sample.
    """

    squared: np.ndarray
    number: np.ndarray
    gap: np.ndarray


def copies(samples: Samples, known: Samples) -> dict[str, float]:
    """Return the share of the samples that are as close to a training sample as others are.

    That is: no further from their closest training sample than that one is from its own closest
    other one. 1 minus the authenticity of Alaa et al., 2022, definition 4. Of new samples that are
    distributed as the training data, it is about one half.

    All ranks must call it.

    Args:
        samples: made by a generator, or real ones that it was not trained on.
        known: what the generator was trained on, not a reference that it has not seen.
    """
    gaps = nearest(known, known, 1)
    found = _closest(samples, known, gaps)
    count = np.array([np.count_nonzero(found.squared <= found.gap)], np.int64)
    return {"copies": int(samples.group.sum_arrays(count)[0]) / samples.count}


def nearest_pairs(samples: Samples, known: Samples, count: int = 16) -> np.ndarray | None:
    """Return the samples that are closest to a training sample, each followed by that one.

    The closest pair comes first. All ranks must call it.

    Returns:
        On rank 0, (2 * count, *sample_shape) in the data's dtype, fewer of fewer samples; None on
        others.
    """
    group = samples.group
    found = _closest(samples, known, np.zeros((len(known.features), 1)))
    order = np.argsort(found.squared, kind="stable")[:count]
    own = zip(
        found.squared[order].tolist(),
        samples.numbers[order].tolist(),
        found.number[order].tolist(),
        strict=True,
    )
    pairs = sorted(tuple(each) for part in group.gather_json(list(own)) for each in part)[:count]
    shape, dtype = known.images.shape[1:], known.images.dtype
    # Each image is on one rank: the sum over the ranks is that image, and exact.
    images = np.zeros((len(pairs), 2, *shape), np.float64)
    for place, numbers in enumerate(pairs):
        for side, each in enumerate((samples, known)):
            here = np.flatnonzero(each.numbers == numbers[1 + side])
            if len(here):
                images[place, side] = each.images[here[0]]
    total = group.sum_arrays(images)
    return total.reshape(-1, *shape).astype(dtype) if group.is_root else None


def _closest(samples: Samples, known: Samples, gaps: np.ndarray) -> Closest:
    """Return the closest training samples. All ranks must call it.

    Args:
        samples: whose closest ones are looked for.
        known: the training samples.
        gaps: of this rank's training samples, (own, 1), which travel with them.
    """
    own = len(samples.features)
    best = Closest(np.full(own, np.inf), np.full(own, known.count), np.zeros(own))
    for found in distances(samples, known, gaps):
        place = np.argmin(found.squared, axis=1)
        squared = found.squared[np.arange(len(place)), place]
        number = found.columns.start + place
        before = best.squared[found.rows], best.number[found.rows]
        is_closer = (squared < before[0]) | ((squared == before[0]) & (number < before[1]))
        rows = np.arange(found.rows.start, found.rows.stop)[is_closer]
        best.squared[rows] = squared[is_closer]
        best.number[rows] = number[is_closer]
        best.gap[rows] = found.beside[place[is_closer], 0]
    return best
