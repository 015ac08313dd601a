"""Figures of the classes that a classifier finds: are all there, and are they told apart?"""

from __future__ import annotations

import numpy as np

from hpcgan.errors import ConfigError
from hpcgan.evaluation.samples import Samples

_MISSING = 0.3  # of the reference's share, below which a class counts as missing


def class_counts(samples: Samples) -> np.ndarray:
    """Return how many samples seem to be of each class, (classes,) int64.

    All ranks must call it. A sample is of the class that is the most probable.

    Raises:
        ConfigError: the features come from no classifier.
    """
    own = _probabilities(samples)
    counts = np.bincount(own.argmax(axis=1), minlength=own.shape[1])
    return samples.group.sum_arrays(counts.astype(np.int64))


def score(samples: Samples, reference: Samples) -> dict[str, float]:
    """Return exp(mean KL(p(y|x), p(y))), from 1 to the number of classes.

    The Inception score (Salimans et al., 2016, https://arxiv.org/abs/1606.03498), by a classifier
    of the data. All ranks must call it; the reference is not looked at.

    Raises:
        ConfigError: the features come from no classifier.
    """
    own = _probabilities(samples)
    marginal = samples.group.sum_arrays(own.sum(axis=0)) / samples.count
    # 0 log 0 is 0. Where a class is nowhere probable, so is it in every sample.
    ratio = np.divide(own, marginal, out=np.ones_like(own), where=own > 0)
    divergences = np.array([np.sum(own * np.log(ratio))])
    return {"score": float(np.exp(samples.group.sum_arrays(divergences)[0] / samples.count))}


def missing_classes(samples: Samples, reference: Samples) -> dict[str, float]:
    """Return how many classes have under 0.3 of the share that they have in the reference.

    All ranks must call it.

    Raises:
        ConfigError: the features come from no classifier.
    """
    found, real = class_counts(samples), class_counts(reference)
    # In whole numbers, so that no rounding decides: found / n < 3 / 10 * real / m.
    missing = 10 * found * reference.count < round(10 * _MISSING) * real * samples.count
    return {"missing_classes": float(missing.sum())}


def _probabilities(samples: Samples) -> np.ndarray:
    """Return those of this rank's samples, (own, classes) float64."""
    if samples.probabilities is None:
        raise ConfigError(
            "the classes of samples are known with --features classifier:FILE alone",
            on_all_ranks=True,
        )
    return samples.probabilities
