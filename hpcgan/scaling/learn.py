"""Train for some images and judge the samples on the way: one training run of a scaling study.

    mpirun -n 4 python -m hpcgan.scaling.learn CONFIG.yaml OUT.json weak|strong IMAGES
        [--section.key VALUE ...]

``hpcgan scale weak|strong --quality IMAGES`` starts it. It makes the same updates as ``hpcgan
train`` with this configuration, without checkpoints and journal. At a few marks all ranks stand
still while rank 0 judges the samples: that, the start and the compilation are not counted.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import numpy as np

from hpcgan import checkpoint, command
from hpcgan.data.chunks import ChunkReader
from hpcgan.data.source import Source
from hpcgan.errors import RunError
from hpcgan.files import write_whole
from hpcgan.metrics.frechet import frechet_distance, principal_components
from hpcgan.scaling import calls
from hpcgan.scaling.calls import Calls
from hpcgan.scaling.quality import Mark, Quality, to_json
from hpcgan.training.calls import steps_a_call
from hpcgan.world import World

if TYPE_CHECKING:
    from hpcgan.gan.update import Update

# Marks after the one before training.
_MARKS = 8
# Principal components of the data in which distances are taken.
_COMPONENTS = 32
# Samples, generated and of the data, that are compared, at most; and their values, for memory.
_SAMPLES = 2048
_VALUES = 2**25


def main() -> int:
    """Run the program on all ranks and return its exit status."""
    return command.run("hpcgan scale", lambda: parse(sys.argv[1:]))


def parse(words: list[str]) -> argparse.Namespace:
    """Return the parsed command line, whose ``run`` is to be called by all ranks."""
    arguments = calls.parse("hpcgan.scaling.learn", "images", int, words)
    arguments.run = _learn
    return arguments


def _learn(world: World, arguments: argparse.Namespace) -> None:
    """Train on all ranks and write the file on rank 0."""
    started = datetime.now(timezone.utc).isoformat(timespec="seconds")
    with calls.opened(world, arguments) as (found, config):
        marks = train(world, found, arguments.images)
    hosts = world.gather_json(world.host)
    quality = Quality(arguments.kind, started, hosts, config, marks)
    world.on_root(lambda: write_whole(arguments.out, to_json(quality).encode()))


def train(world: World, found: Calls, images: int) -> list[Mark]:
    """Train for ``images`` or a few more; return what was reached. All ranks must call it.

    Raises:
        DataError: samples of the data cannot be read (on all ranks).
        RunError: the generator's samples are not finite (on all ranks).
    """
    from hpcgan.parallel import synchronous

    plan, state = found.plan, found.state
    checkpoint.restore(world, state, None)
    hosted, dtype = plan.assignment.hosted, plan.source.dtype
    ring = synchronous.make_update(world, plan.config, state, dtype, hosted)
    judges: list[Judge] = []  # rank 0 has one
    world.on_root(lambda: judges.append(Judge(plan.source, found)))
    most = _warm_up(world, found, ring)
    seconds, marks = 0.0, []
    for end in _ends(-(-images // plan.images_per_step)):
        if end:
            seconds += _make(world, found, ring, _lengths(end - found.step, most))
        distance = world.on_root(lambda: judges[0].distance())
        marks.append(Mark(end * plan.images_per_step, seconds, distance))
    return marks


class Judge:
    """Compares the generator's samples with the data; rank 0 alone."""

    def __init__(self, source: Source, found: Calls) -> None:
        """Read samples of the data, from all over it.

        Raises:
            DataError: they cannot be read.
        """
        self._found = found
        values = math.prod(source.sample_shape)
        self._number = max(2 * _COMPONENTS, min(_SAMPLES, _VALUES // values))
        real = spread(source, self._number)
        self._space = principal_components([real], _COMPONENTS)
        self._real = self._space.project(real)

    def distance(self) -> float:
        """Return the Fréchet distance of the generator as it is now.

        Raises:
            RunError: its samples are not finite.
        """
        from hpcgan.gan import noise
        from hpcgan.gan.sampling import sampling_inputs

        config, state = self._found.plan.config, self._found.state
        drawn = []
        for block in range(-(-self._number // noise.BLOCK)):
            inputs, _ = sampling_inputs(config.model, config.seed, block)
            drawn.append(self._space.project(np.array(state.sampler(inputs, training=False))))
        samples = np.concatenate(drawn)[: self._number]
        if not np.isfinite(samples).all():
            raise RunError(f"after step {self._found.step} samples are no longer finite")
        return frechet_distance(samples, self._real)


def spread(source: Source, number: int) -> np.ndarray:
    """Return samples in equal distances from the first on, at most ``number`` of them."""
    wanted = np.unique(np.linspace(0, len(source) - 1, number).astype(np.int64))
    reader = ChunkReader(source, range(len(source.files)))
    chunk = np.searchsorted(source.chunk_offsets, wanted, "right")
    pieces = np.split(wanted, np.flatnonzero(np.diff(chunk)) + 1)
    return np.concatenate([reader.read(piece).copy() for piece in pieces])


def _warm_up(world: World, found: Calls, ring: Update) -> int:
    """Compile the update and return the steps of a call; the networks stay as they were."""
    before = found.state.arrays()
    _make(world, found, ring, [1])
    most = steps_a_call(_make(world, found, ring, [1]))
    _make(world, found, ring, [most])
    found.state.load(before, "the start")
    found.step = 0
    return most


def _make(world: World, found: Calls, ring: Update, lengths: list[int]) -> float:
    """Make calls of so many steps each, and return the seconds of the slowest rank."""
    world.barrier()
    began = time.perf_counter()
    for batch in found.batches(lengths):
        found.call(ring, batch)
    return max(world.gather_json(time.perf_counter() - began))


def _ends(steps: int) -> list[int]:
    """Return the steps at which samples are judged: 0, the last, and some between."""
    return np.unique(np.linspace(0, steps, _MARKS + 1).round().astype(int)).tolist()


def _lengths(steps: int, most: int) -> list[int]:
    """Return the steps of each call that together make ``steps``."""
    rest = steps % most
    return [most] * (steps // most) + ([rest] if rest else [])


if __name__ == "__main__":
    sys.exit(main())
