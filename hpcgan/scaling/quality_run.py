"""Train for some images and evaluate the samples on the way: one training run of a study.

    mpirun -n 4 python -m hpcgan.scaling.quality_run CONFIG.yaml OUT.json weak|strong IMAGES
        [--section.key VALUE ...]

``hpcgan scale weak|strong --quality IMAGES`` starts it. It makes the same steps as ``hpcgan
train`` with this configuration, without log and checkpoints. At each quality point all ranks
wait while rank 0 evaluates the samples: that, the start and the compilation are not counted.
"""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from hpcgan import checkpoint
from hpcgan.blocks import BLOCK
from hpcgan.data.chunks import ChunkReader
from hpcgan.data.source import Source
from hpcgan.errors import RunError
from hpcgan.metrics.frechet import frechet_distance, principal_components
from hpcgan.scaling import calls
from hpcgan.scaling.calls import Given
from hpcgan.scaling.runs import Quality, QualityPoint
from hpcgan.training.calls import steps_per_call
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
    trainer = given.trainer(given.over_ring(), Timer())
    evaluators: list[Evaluator] = []  # rank 0 has one
    world.on_root(lambda: evaluators.append(Evaluator(plan.source, given)))
    most = _warm_up(given, trainer)
    seconds, points = 0.0, []
    steps = math.ceil(images / plan.images_per_step)
    for end in np.unique(np.linspace(0, steps, _POINTS + 1).round().astype(int)).tolist():
        seconds += _fit(given, trainer, end, most) if end else 0.0
        distance = world.on_root(lambda: evaluators[0].distance())
        points.append(QualityPoint(end * plan.images_per_step, seconds, distance))
    return {"points": points}


class Evaluator:
    """Compares the generator's samples with the data; rank 0 alone."""

    def __init__(self, source: Source, given: Given) -> None:
        """Read samples from all over the data; raise ``DataError`` if they cannot be read."""
        self._given = given
        values = math.prod(source.sample_shape)
        self._number = max(2 * _COMPONENTS, min(_SAMPLES, _VALUES // values))
        real = spread(source, self._number)
        self._space = principal_components([real], _COMPONENTS)
        self._real = self._space.project(real)

    def distance(self) -> float:
        """Return the Fréchet distance of the generator; raise ``RunError`` if it is not finite."""
        from hpcgan.gan.sampling import sampling_inputs

        config, state = self._given.plan.config, self._given.state
        drawn = []
        for block in range(-(-self._number // BLOCK)):
            counts = self._given.plan.samples.counts
            inputs, _ = sampling_inputs(config.model, config.seed, block, counts)
            drawn.append(self._space.project(np.array(state.sampler(inputs, training=False))))
        samples = np.concatenate(drawn)[: self._number]
        if not np.isfinite(samples).all():
            raise RunError(f"after step {state.step} samples are no longer finite")
        return frechet_distance(samples, self._real)


def spread(source: Source, number: int) -> np.ndarray:
    """Return samples in equal distances from the first on, at most ``number`` of them."""
    wanted = np.unique(np.linspace(0, len(source) - 1, number).astype(np.int64))
    reader = ChunkReader(source, range(len(source.files)))
    chunk = np.searchsorted(source.chunk_offsets, wanted, "right")
    pieces = np.split(wanted, np.flatnonzero(np.diff(chunk)) + 1)
    return np.concatenate([reader.read(piece).copy() for piece in pieces])


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
