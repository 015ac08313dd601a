"""Any run of samples, of one generator or of several that take turns, chunk by chunk.

A chunk is some blocks that one call of the compiled generator makes. Beside the networks there are
at most three chunks in memory, however many samples are made: one that is being written, and one
that is being made, of which TensorFlow has its blocks and the whole for a moment.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from hpcgan.blocks import BLOCK
from hpcgan.generation.labels_file import LabelsFile
from hpcgan.generation.sampler import Sampler
from hpcgan.turns import PERIOD, Turns

T = TypeVar("T")
U = TypeVar("U")

# Samples that follow one another, (n, *sample_shape), and their labels, (n,) or (n, K), or None.
Block = tuple[np.ndarray, np.ndarray | None]

_CHUNK_BYTES = 2**23  # seconds of work of a large network, in which no signal is looked at


def chunks(samples: range, sample_shape: Sequence[int], cores: int) -> Iterator[range]:
    """Yield the chunks of a run of samples: about 8 MiB each, and a block for each core.

    ``samples`` begins with a block.
    """
    blocks = _CHUNK_BYTES // (4 * BLOCK * math.prod(sample_shape))
    size = BLOCK * max(cores, 2 ** max(0, blocks.bit_length() - 1))
    for first in range(samples.start, samples.stop, size):
        yield range(first, min(first + size, samples.stop))


class Producer:
    """Makes samples that samplers take turns in: sampler k's j-th is its own sample j."""

    def __init__(
        self,
        samplers: Sequence[Sampler],
        turns: Turns | None = None,
        labels: LabelsFile | None = None,
    ) -> None:
        """Take one sampler, or several and their turns; ``labels`` are those of all samples."""
        self._samplers = samplers
        self._turns = turns or Turns(np.array([PERIOD]))
        self._labels = labels
        self._newest: dict[int, tuple[int, Block]] = {}  # the last block of each, by its number

    def make(self, samples: range) -> Block:
        """Return some samples, as the generators make them, and their labels.

        Those of one sampler begin with a block.
        """
        first, last = samples.start, samples.stop
        made = [
            self._of(k, range(self._turns.made(k, first), self._turns.made(k, last)))
            for k in range(len(self._samplers))
        ]
        if len(made) == 1:
            return made[0]
        sampler, _ = self._turns.of(np.arange(first, last))
        images = np.empty((len(samples), *made[0][0].shape[1:]), np.float32)
        labels = None
        if made[0][1] is not None:
            labels = np.empty((len(samples), *made[0][1].shape[1:]), made[0][1].dtype)
        for k, (own, own_labels) in enumerate(made):
            images[sampler == k] = own
            if labels is not None:
                labels[sampler == k] = own_labels
        return images, labels

    def _of(self, sampler: int, numbers: range) -> Block:
        """Return some of a sampler's own samples; what it made last is not made again."""
        blocks = range(numbers.start // BLOCK, -(-numbers.stop // BLOCK))
        block, newest = self._newest.get(sampler, (-1, None))
        if newest and block == blocks.start:
            more = self._blocks(sampler, blocks[1:])
            images = np.concatenate([newest[0], more[0]])
            labels = None
            if more[1] is not None and newest[1] is not None:
                labels = np.concatenate([newest[1], more[1]])
        else:
            images, labels = self._blocks(sampler, blocks)
        if len(self._samplers) > 1 and len(blocks):
            kept = None if labels is None else labels[-BLOCK:].copy()
            self._newest[sampler] = blocks[-1], (images[-BLOCK:].copy(), kept)
        here = slice(numbers.start - blocks.start * BLOCK, numbers.stop - blocks.start * BLOCK)
        return images[here], None if labels is None else labels[here]

    def _blocks(self, sampler: int, blocks: range) -> Block:
        """Return whole blocks of a sampler's."""
        if self._labels is None:
            labels = self._samplers[sampler].labels(blocks)
        else:
            own = np.arange(blocks.start * BLOCK, blocks.stop * BLOCK)
            labels = self._labels.of(self._turns.samples(sampler, own))
        return self._samplers[sampler].images(blocks, labels), labels


def ahead(make: Callable[[T], U], of: Iterable[T]) -> Generator[U, None, None]:
    """Yield what is made of each; a thread makes the next one while the last is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="maker") as pool:
        pending: Future[U] | None = None
        for each in of:
            following = pool.submit(make, each)
            if pending:
                yield pending.result()
            pending = following
        if pending:
            yield pending.result()
