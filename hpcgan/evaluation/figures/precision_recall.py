"""Fidelity and variety apart: precision and recall, density and coverage."""

from __future__ import annotations

import numpy as np

from hpcgan.evaluation.figures.neighbours import distances, nearest
from hpcgan.evaluation.samples import Samples

# A ball around a sample reaches to this nearest other one of its set.
NEIGHBOURS = 5


def precision_recall(samples: Samples, reference: Samples) -> dict[str, float]:
    """Return precision, recall, density and coverage, each a ratio of integer counts.

    Around each sample is a ball, without its surface, as far as its 5th nearest other one of its
    set.

    - precision: the share of the samples that lie in a ball of the reference.
    - recall: the share of the reference that lies in a ball of the samples
      (Kynkäänniemi et al., 2019, equations 1 and 2; both).
    - density: in how many balls of the reference a sample lies, over 5; may exceed 1.
    - coverage: the share of the reference's balls in which a sample lies
      (Naeem et al., 2020, equations 4 and 5; both).

    All ranks must call it. A set needs 6 samples: with fewer its balls are infinite.
    """
    group = samples.group
    radii = nearest(samples, samples, NEIGHBOURS)[:, -1]
    their_radii = nearest(reference, reference, NEIGHBOURS)[:, -1]
    balls_around = np.zeros(len(radii), np.int64)  # of the reference, around each own sample
    samples_in = np.zeros(reference.count, np.int64)  # each ball of the reference
    balls_reaching = np.zeros(reference.count, np.int64)  # each of the reference, of the samples
    for found in distances(samples, reference, their_radii[:, np.newaxis]):
        in_theirs = found.squared < found.beside[:, 0]
        in_ours = found.squared < radii[found.rows, np.newaxis]
        balls_around[found.rows] += np.count_nonzero(in_theirs, axis=1)
        samples_in[found.columns] += np.count_nonzero(in_theirs, axis=0)
        balls_reaching[found.columns] += np.count_nonzero(in_ours, axis=0)
    own = [np.count_nonzero(balls_around), balls_around.sum()]
    precise, dense = group.sum_arrays(np.array(own, np.int64)).tolist()
    covered = np.count_nonzero(group.sum_arrays(samples_in))
    recalled = np.count_nonzero(group.sum_arrays(balls_reaching))
    return {
        "precision": precise / samples.count,
        "recall": recalled / reference.count,
        "density": dense / (NEIGHBOURS * samples.count),
        "coverage": covered / reference.count,
    }
