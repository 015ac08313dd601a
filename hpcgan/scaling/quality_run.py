"""Train for some images and evaluate the samples on the way: one training run of a study.

    mpirun -n 4 python -m hpcgan.scaling.quality_run CONFIG.yaml OUT.json weak|strong IMAGES
        [--section.key VALUE ...]

``hpcgan scale weak|strong --quality IMAGES`` starts it. It makes the same steps as ``hpcgan
train`` with this configuration, without log and checkpoints. At each quality point all ranks
evaluate the samples: that, the start and the compilation are not counted.
"""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from hpcgan import checkpoint
from hpcgan.data.source import Source
from hpcgan.evaluation import drawing
from hpcgan.evaluation.features import pca, with_features
from hpcgan.evaluation.figures.frechet import frechet
from hpcgan.scaling import calls
from hpcgan.scaling.calls import Given
from hpcgan.scaling.runs import Quality, QualityPoint
from hpcgan.training.calls import steps_per_call
from hpcgan.training.sharing import Sharing
from hpcgan.training.timer import Timer
from hpcgan.world import World

if TYPE_CHECKING:
    from hpcgan.training.trainer import Trainer

_POINTS = 8  # quality points after the one before training
_COMPONENTS = 32  # principal components of the data in which distances are taken
# Samples, generated and of the data, that are compared, at most; and their values, for memory.
_SAMPLES = 2048
_VALUES = 2**25


def train(world: World, given: Given, images: float) -> dict[str, Any]:
    """Train for ``images`` or a few more; return the quality points. All ranks must call it.

    Raises:
        UserError: data cannot be read, or generated samples are not finite (on all ranks).
    """
    plan, state = given.plan, given.state
    checkpoint.restore(world, state, None)
    strategy = given.over_ring()
    trainer, sharing = given.trainer(strategy, Timer()), Sharing(world, state, strategy)
    evaluator = Evaluator(plan.source, given)
    most = _warm_up(given, trainer)
    strategy.refresh(plan.config)  # the state is another one than a step ago
    seconds, points = 0.0, []
    steps = math.ceil(images / plan.images_per_step)
    for end in np.unique(np.linspace(0, steps, _POINTS + 1).round().astype(int)).tolist():
        seconds += _fit(given, trainer, end, most) if end else 0.0
        sharing.share()
        distance = world.broadcast_json(evaluator.distance())
        points.append(QualityPoint(end * plan.images_per_step, seconds, distance))
    return {"points": points}


class Evaluator:
    """Compares the generator's samples with the data. All ranks must call its methods."""

    def __init__(self, source: Source, given: Given) -> None:
        """Read samples from all over the data; raise ``DataError`` if they cannot be read."""
        self._given = given
        values = math.prod(source.sample_shape)
        self._number = max(2 * _COMPONENTS, min(_SAMPLES, _VALUES // values))
        real = drawing.read(given.world, source, spread(len(source), self._number))
        self._extractor = pca.fit(real, _COMPONENTS)
        self._real = with_features(self._extractor, real)

    def distance(self) -> float:
        """Return the Fréchet distance of the generator; raise ``RunError`` if it is not finite."""
        plan, state, like = self._given.plan, self._given.state, self._real
        samples = drawing.generate(
            self._given.world,
            state,
            plan.config,
            like,
            plan.samples.counts,
            self._number,
            plan.config.seed,
        )
        return frechet(with_features(self._extractor, samples), self._real)["frechet"]


def spread(total: int, number: int) -> np.ndarray:
    """Return numbers of samples in equal distances from 0 on, at most ``number`` of them."""
    return np.unique(np.linspace(0, total - 1, number).astype(np.int64))


def _warm_up(given: Given, trainer: Trainer) -> int:
    """Compile the steps and return those of a call; the networks stay as they were."""
    state = given.state
    before = state.arrays()
    _fit(given, trainer, 1, 1)
    most = steps_per_call(_fit(given, trainer, 2, 1))
    _fit(given, trainer, 2 + most, most)
    state.load(before, "the start")
    state.step = 0
    return most


def _fit(given: Given, trainer: Trainer, last: int, most: int) -> float:
    """Train to step ``last`` in calls of ``most`` steps; return the slowest rank's seconds."""
    given.world.barrier()
    began = time.perf_counter()
    trainer.fit(last, most)
    return max(given.world.gather_json(time.perf_counter() - began))


if __name__ == "__main__":
    sys.exit(calls.main(Quality, train))
