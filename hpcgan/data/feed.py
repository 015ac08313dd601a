"""Batches that are ready before they are asked for.

The samples of the hosted shards are in memory. A thread gathers the batches of the next calls
of the update and hands them to the device while the present one computes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import tensorflow as tf

from hpcgan.data import shards

# Calls of the update whose batches are made ahead: one to be taken, one being gathered.
_AHEAD = 2


class Feed:
    """The batches of the shards that one rank hosts."""

    def __init__(self, samples: dict[int, np.ndarray], seed: int, per_step: int) -> None:
        """Prepare the feed.

        Args:
            samples: for each hosted shard its samples, (n, *sample_shape), uint8 or float32.
            seed: of the order.
            per_step: samples that each shard takes at a step.
        """
        self._samples = samples
        self._seed = seed
        self._per_step = per_step
        # An order is asked for at each step of its epoch, and drawing it costs more than a batch.
        self._order = lru_cache(maxsize=2 * len(samples))(shards.epoch_order)

    def batches(self, spans: Iterable[tuple[int, int]]) -> Iterator[tf.Tensor]:
        """Yield the batches of each span, in order.

        Args:
            spans: (first step, number of steps) of each call of the update.

        Yields:
            A tensor (steps, shards, per_step, *sample_shape) of the samples' dtype.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="feed") as pool:
            pending: deque[Future[tf.Tensor]] = deque()
            for first_step, steps in spans:
                pending.append(pool.submit(self._gather, first_step, steps))
                if len(pending) > _AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def _gather(self, first_step: int, steps: int) -> tf.Tensor:
        """Return the batches of ``steps`` steps."""
        start, count = first_step * self._per_step, steps * self._per_step
        parts = [
            samples[shards.stream(self._seed, shard, len(samples), start, count, self._order)]
            for shard, samples in self._samples.items()
        ]
        by_step = [part.reshape(steps, self._per_step, *part.shape[1:]) for part in parts]
        return tf.constant(np.stack(by_step, axis=1))
