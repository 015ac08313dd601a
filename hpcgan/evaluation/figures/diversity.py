"""How many different samples a set has, in effect: the Vendi score."""

from __future__ import annotations

import numpy as np

from hpcgan.evaluation.samples import Samples


def vendi(samples: Samples) -> float:
    """Return exp(entropy) of the eigenvalues of the samples' cosine similarities, over n.

    1 of samples that are all alike, at most the features' dimension d (Friedman and Dieng, 2023,
    definition 3.1). The d x d matrix of the features has the same eigenvalues but for zeros.
    All ranks must call it.
    """
    own = samples.features
    lengths = np.linalg.norm(own, axis=1, keepdims=True)
    unit = own / np.where(lengths > 0, lengths, 1)
    matrix = samples.group.sum_arrays(unit.T @ unit) / samples.count
    values = np.linalg.eigvalsh(matrix)
    values = values[values > 0]
    return float(np.exp(-np.sum(values * np.log(values))))


def diversity(samples: Samples, reference: Samples) -> dict[str, float]:
    """Return the Vendi score of the samples; the reference is not looked at.

    All ranks must call it.
    """
    return {"diversity": vendi(samples)}
