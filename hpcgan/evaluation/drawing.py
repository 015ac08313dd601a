"""The samples that are compared: chosen from the data, or made by a generator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from hpcgan import pictures
from hpcgan.blocks import BLOCK, own_blocks
from hpcgan.config import Config
from hpcgan.data.chunks import ChunkReader
from hpcgan.data.source import Source
from hpcgan.errors import Diverged
from hpcgan.evaluation.samples import Samples
from hpcgan.gan import conditions
from hpcgan.gan.conditions import Draw
from hpcgan.group import Group

if TYPE_CHECKING:
    from hpcgan.gan.state import State

# Values of samples that go through a network at once: in networks 64 channels wide, 256 MiB.
_VALUES = 2**20


def choose(seed: int, total: int, *counts: int) -> list[np.ndarray]:
    """Return disjoint random choices of the numbers 0 to ``total`` - 1, each ascending.

    They depend on the arguments alone: on any number of ranks they are the same.

    Args:
        seed: at least 0.
        total: at least the sum of ``counts``.
        counts: numbers of each choice.
    """
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(total)
    return [np.sort(each) for each in np.split(order, np.cumsum(counts))[:-1]]


def read(
    group: Group, source: Source, numbers: np.ndarray, labels: np.ndarray | None = None
) -> Samples:
    """Return samples of the data, without features. All ranks must call it.

    Args:
        group: the ranks.
        source: the data.
        numbers: of the samples, ascending, so that a rank reads no piece of a file twice.
        labels: of all samples of the data, if they are wanted.

    Raises:
        DataError: they cannot be read (on all ranks).
    """
    own = [numbers[block] for block in own_blocks(group.rank, group.size, len(numbers))]
    images = group.all_or_raise(lambda: _images(source, own))
    chosen = None if labels is None else labels[np.concatenate([numbers[:0], *own])]
    return Samples(group, len(numbers), images, np.zeros((len(images), 0)), chosen)


def _images(source: Source, blocks: list[np.ndarray]) -> np.ndarray:
    """Return the samples of some blocks of numbers, (n, *sample_shape)."""
    # Of thousands of files those alone are looked into that hold some of them.
    every = np.concatenate([np.zeros(0, np.int64), *blocks])
    files = np.unique(np.searchsorted(source.file_offsets, every, "right") - 1)
    reader = ChunkReader(source, files.tolist())
    found = [np.zeros((0, *source.sample_shape), source.dtype)]
    for numbers in blocks:
        chunk = np.searchsorted(source.chunk_offsets, numbers, "right")
        pieces = np.split(numbers, np.flatnonzero(np.diff(chunk)) + 1)
        found += [reader.read(piece).copy() for piece in pieces]
    return np.concatenate(found)


def generated(
    group: Group,
    state: State,
    config: Config,
    class_counts: tuple[int, ...],
    count: int,
    seed: int,
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Yield this rank's blocks of samples of the (averaged) generator, and their labels.

    Sample i depends on the networks, the seed and i alone; classes come as often as in the data.
    Needs no other rank.

    Args:
        group: the ranks.
        state: the networks.
        config: of the run, resolved.
        class_counts: samples of each class in the data; empty if not known.
        count: samples of all ranks together.
        seed: of the latents, at least 0.

    Yields:
        (n, *sample_shape) float32 as the generator makes them, and (n,) or (n, K) as in the data;
        None for networks without labels.
    """
    import tensorflow as tf

    from hpcgan.gan.sampling import sampling_inputs

    draw: Draw = "data" if class_counts else "turn"
    for block in own_blocks(group.rank, group.size, count):
        inputs, labels = sampling_inputs(
            config.model, seed, block.start // BLOCK, class_counts, draw
        )
        made = []
        for part in batches(config, state, len(block)):
            few = tf.nest.map_structure(lambda each, part=part: each[part], inputs)
            made.append(np.array(state.sampler(few, training=False), np.float32))
        yield np.concatenate(made), None if labels is None else labels[: len(block)]


def batches(config: Config, state: State, count: int) -> Iterator[slice]:
    """Yield the batches in which samples go through a network, never more than there is room for.

    As many at once as in training, or more where they are small. It is the same on all ranks, so
    that the samples are the same bit for bit.
    """
    values = int(np.prod(state.discriminators[0].inputs[0].shape[1:]))
    most = max(config.train.batch_size // config.train.accumulate, _VALUES // values)
    for begin in range(0, count, most):
        yield slice(begin, min(begin + most, count))


def generate(
    group: Group,
    state: State,
    config: Config,
    like: Samples,
    class_counts: tuple[int, ...],
    count: int,
    seed: int,
) -> Samples:
    """Return samples of the (averaged) generator in the data's dtype, without features.

    All ranks must call it. The arguments are those of ``generated``, and samples of the data, for
    shape and dtype.

    Raises:
        Diverged: a sample is not finite (on all ranks).
    """
    shape, dtype = like.images.shape[1:], like.images.dtype.name
    images, labels = [np.zeros((0, *shape), dtype)], []
    is_finite = True
    for made, drawn in generated(group, state, config, class_counts, count, seed):
        if not np.isfinite(made).all():
            is_finite = False
            break
        images.append(pictures.to_dtype(made, dtype))
        labels += [] if drawn is None else [drawn]
    if not all(group.gather_json(is_finite)):
        raise Diverged(f"after step {state.step} samples are no longer finite", on_all_ranks=True)
    own = np.concatenate(images)
    return Samples(group, count, own, np.zeros((len(own), 0)), _joined(labels, config))


def _joined(labels: list[np.ndarray], config: Config) -> np.ndarray | None:
    """Return the labels of a rank's blocks, of which there may be none."""
    if config.model.condition == "none":
        return None
    return np.concatenate([np.zeros((0, *conditions.label_shape(config.model))), *labels])
