"""The figures of a run while it trains, in the space of the data's principal components.

Real samples are chosen once: a reference, and a second part that stands in the generated samples'
place for the floors. All ranks share the work, and get the same figures; on any number of ranks
they are the same up to rounding.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from hpcgan import pictures
from hpcgan.blocks import BLOCK
from hpcgan.data.source import Source
from hpcgan.errors import Diverged
from hpcgan.evaluation import drawing
from hpcgan.evaluation.features import pca
from hpcgan.evaluation.figures.auc import auc
from hpcgan.evaluation.figures.diversity import vendi
from hpcgan.evaluation.figures.frechet import frechet, moments
from hpcgan.evaluation.figures.kernel import kernel
from hpcgan.evaluation.figures.neighbours import nearest
from hpcgan.evaluation.figures.precision_recall import precision_recall
from hpcgan.evaluation.judging import discriminator_logits
from hpcgan.evaluation.samples import Samples
from hpcgan.training.plan import Plan
from hpcgan.world import World

if TYPE_CHECKING:
    from hpcgan.gan.state import State

# Samples of a set that D judges, at most: real ones stay in memory.
_JUDGED = 512
_SEED = 0  # of the choice of samples, and of the latents: the same at each evaluation

Figures = Mapping[str, float]


class Evaluator:
    """Evaluates the (averaged) generator of a run, and its discriminator.

    All public methods are collectives: all ranks must call them in the same order.

    Attributes:
        features: the name of the features, part of the figures' names.
        floors: the figures of the second part of the real samples; D has none.
    """

    def __init__(self, world: World, plan: Plan, state: State) -> None:
        """Choose and read real samples, and compute the floors.

        Raises:
            DataError: a file cannot be read (on all ranks).
        """
        self._world = world
        self._plan = plan
        self._state = state
        count = samples_each(plan)
        chosen = drawing.choose(_SEED, len(plan.source), count, count)
        reference, second = (drawing.read(world, plan.source, numbers) for numbers in chosen)
        both = np.concatenate([reference.images, second.images])
        # A distance needs several times as many samples as there are dimensions.
        most = min(pca.MOST, max(1, count // 4))
        self._pca = pca.fit(dataclasses.replace(reference, count=2 * count, images=both), most)
        self.features = self._pca.name
        self._reference, second = map(self._with_features, (reference, second))
        self._real = self._read_judged(plan.source, chosen[0])
        self._held_out = self._read_held_out()
        self.floors: Figures = self._compare(second)

    def evaluate(self) -> Figures:
        """Return the figures of the networks as they are, by name.

        Raises:
            Diverged: a sample is not finite (on all ranks).
        """
        made, logits = self._generate()
        figures = dict(self._compare(made))
        real = self._logits(self._real)
        figures["auc_real_fake"] = auc(self._gathered(real), self._gathered(logits))
        if self._held_out:
            held_out = self._gathered(self._logits(self._held_out))
            figures["auc_training_held_out"] = auc(self._gathered(real), held_out)
        return figures

    def _compare(self, samples: Samples) -> Figures:
        """Return the figures of samples with features."""
        found = {**frechet(samples, self._reference), **kernel(samples, self._reference)}
        neighbours = precision_recall(samples, self._reference)
        spread = float(np.trace(moments(samples).covariance))
        distances = np.sqrt(self._gathered(nearest(samples, samples, 1)[:, 0]))
        return {
            "frechet": found["frechet"],
            "kernel": found["kernel"],
            "recall": neighbours["recall"],
            "coverage": neighbours["coverage"],
            "diversity": vendi(samples),
            "spread": spread,
            "nearest": float(np.median(distances)) / math.sqrt(max(spread, 1e-12)),
        }

    def _generate(self) -> tuple[Samples, np.ndarray]:
        """Return generated samples with features, and D's logits of this rank's that it judges."""
        plan, state, count = self._plan, self._state, self._reference.count
        features, logits = [np.zeros((0, self._pca.dimension))], [np.zeros(0)]
        is_finite, number = True, self._world.rank * BLOCK
        for made, labels in drawing.generated(
            self._world, state, plan.config, plan.samples.counts, count, _SEED
        ):
            if not np.isfinite(made).all():
                is_finite = False
                break
            features.append(self._pca.features(pictures.to_dtype(made, plan.source.dtype)))
            if number < _JUDGED:
                logits.append(self._judge(made, labels))
            number += self._world.size * BLOCK
        if not all(self._world.gather_json(is_finite)):
            raise Diverged(
                f"after step {state.step} samples are no longer finite", on_all_ranks=True
            )
        own = np.concatenate(features)
        samples = Samples(self._world, count, np.zeros((len(own), 0)), own)
        return samples, np.concatenate(logits)

    def _judge(self, images: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        """Return D's logits, (n,), of samples (n, *sample_shape); needs no other rank."""
        return discriminator_logits(self._state, self._plan.config, images, labels)

    def _read_judged(self, source: Source, numbers: np.ndarray) -> Samples:
        """Return real samples for D, at most ``_JUDGED`` of some numbers."""
        has_labels = self._plan.config.model.condition != "none"
        labels = self._world.all_or_raise(source.read_labels) if has_labels else None
        return drawing.read(self._world, source, numbers[:: -(-len(numbers) // _JUDGED)], labels)

    def _read_held_out(self) -> Samples | None:
        """Return held-out samples for D, if there are any."""
        source = self._plan.held_out
        if source is None:
            return None
        (numbers,) = drawing.choose(_SEED, len(source), min(_JUDGED, len(source)))
        return self._read_judged(source, numbers)

    def _with_features(self, samples: Samples) -> Samples:
        """Return samples with features, and without images: those are not needed any more."""
        features = self._pca.features(samples.images)
        return dataclasses.replace(samples, features=features, images=samples.images[:0])

    def _logits(self, samples: Samples) -> np.ndarray:
        return self._judge(samples.images, samples.labels)

    def _gathered(self, own: np.ndarray) -> np.ndarray:
        """Return the numbers of all ranks, (n,), in any order. All ranks must call it."""
        return np.concatenate([each for _, each in self._world.around(own)])


def samples_each(plan: Plan) -> int:
    """Return the samples of each set: two disjoint ones are taken from the data."""
    return min(plan.config.evaluate.samples, len(plan.source) // 2)
