"""The gradient noise scale: the batch beyond which a larger one makes each step little better.

McCandlish et al., An empirical model of large-batch training, 2018, section 2.2 and appendix A.1. A
gradient of b samples has the expected square |G|^2 + tr / b: |G|^2 of the gradient of all data, tr
the sum of the variances of one sample's. Two batches tell both: that of a part (one shard's batch,
or a piece of it), and that of all n parts. tr / |G|^2, in samples, is the noise scale. With Adam
each component counts as Adam weighs it (Qiao et al., Pollux, 2021, section 3.1).

Every few steps the squares of the parts travel with the gradients (``Update``); rank 0 averages
them here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import keras
import numpy as np
import tensorflow as tf

from hpcgan.config import Config
from hpcgan.gan.batches import Batches
from hpcgan.gan.models.normalisation import synchronised
from hpcgan.gan.scaling_rule import steps_factor

# Steps from one measurement to the next.
EVERY = 16
# Of a measurement in the averages of those after it: they reach back over about 50 of them.
_DECAY = 0.98

T = TypeVar("T")


def is_measured(config: Config, generator: keras.Model) -> bool:
    """Return whether a run is long enough, and gradients have several parts, each found by itself.

    With synchronised normalisation they are not. ``config`` has ``data.shards`` resolved.
    """
    shards = config.data.shards
    assert shards is not None
    has_parts = shards * config.train.accumulate > 1
    return has_parts and config.train.steps >= EVERY and not synchronised(generator)


def is_due(step: tf.Tensor) -> tf.Tensor:
    """Return whether the step after ``step`` others is measured: never the first, without Adam."""
    return tf.equal(step % EVERY, EVERY - 1)


def in_passes(
    batches: Batches, step: tf.Tensor, make: Callable[[Batches, tf.Tensor | bool], T]
) -> T:
    """Return what ``make`` gives, of one shard at a time in a step that is measured.

    Args:
        batches: of a rank's shards, which may go through the networks together.
        step: updates made before.
        make: is given batches, and whether their gradients are measured.
    """
    if not batches.are_measured:
        return make(batches, False)
    if batches.apart is None:
        return make(batches, is_due(step))
    apart = batches.apart
    return tf.cond(is_due(step), lambda: make(apart, True), lambda: make(batches, False))


class NoiseScale:
    """The noise scale of one network's gradients, over a run."""

    def __init__(self, parts: int, samples: int) -> None:
        """Average over measurements of ``parts`` gradients, of so many ``samples`` each."""
        self._parts, self._samples = parts, samples
        self._trace = self._square = 0.0

    @property
    def batch(self) -> int:
        """The samples of all parts."""
        return self._parts * self._samples

    @property
    def value(self) -> float | None:
        """The noise scale in samples; None where it is not known.

        The ratio of averages, since the average of ratios is biased, and may have no end. It is not
        known from one part, or where the noise hides the gradient.
        """
        return self._trace / self._square if self._square > 0 else None

    def add(self, squares: np.ndarray) -> None:
        """Take measurements, (n, 2): the mean square of the parts, and the square of their mean.

        Rows of zeros are of steps that were not measured.
        """
        if self._parts == 1:
            return
        of_parts, of_mean = squares[squares[:, 0] > 0].astype(float).T
        traces = self.batch / (self._parts - 1) * (of_parts - of_mean)
        found = (self._parts * of_mean - of_parts) / (self._parts - 1)
        for trace, square in zip(traces.tolist(), found.tolist(), strict=True):
            self._trace = _DECAY * self._trace + trace
            self._square = _DECAY * self._square + square


def noise_scales(config: Config) -> tuple[NoiseScale, NoiseScale]:
    """Return those of D and G, before the first step.

    ``config`` has ``data.shards`` resolved to a number.
    """
    train, shards = config.train, config.data.shards
    assert shards is not None
    parts, samples = shards * train.accumulate, train.batch_size // train.accumulate
    return NoiseScale(parts // train.discriminators, samples), NoiseScale(parts, samples)


def larger_batches(discriminator: NoiseScale, generator: NoiseScale) -> str:
    """Return in words what twice the batch would bring; "" where no noise scale is known."""
    scales = {"D": discriminator, "G": generator}
    known = {name: each for name, each in scales.items() if each.value is not None}
    if not known:
        return ""
    found = ", ".join(f"{name} {each.value:.3g}" for name, each in known.items())
    factors = " and ".join(
        f"{steps_factor(each.value or 0.0, each.batch, 2 * each.batch):.2f} ({name})"
        for name, each in known.items()
    )
    return (
        f"gradient noise scale, in images: {found}; with batches of {generator.batch} images now, "
        f"twice the ranks would need {factors} of the steps (a hint; hpcgan scale quality tests it)"
    )
