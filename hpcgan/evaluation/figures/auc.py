"""How well a score tells two kinds of samples apart."""

from __future__ import annotations

import numpy as np


def auc(scores_a: np.ndarray, scores_b: np.ndarray) -> float:
    """Return the area under the receiver operating characteristic.

    It is the share of the pairs (a, b) in which a's score is the larger, ties counted half
    (Hanley and McNeil, Radiology 143, 1982): 1/2 where the scores tell nothing. It is exact.

    Args:
        scores_a: (n,), finite, n > 0: of the kind that should score higher.
        scores_b: (m,), finite, m > 0.
    """
    ordered = np.sort(scores_b)
    lower = np.searchsorted(ordered, scores_a, "left").sum()
    not_higher = np.searchsorted(ordered, scores_a, "right").sum()
    return float(lower + not_higher) / (2 * len(scores_a) * len(scores_b))
