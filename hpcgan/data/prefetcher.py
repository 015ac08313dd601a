"""Batches that are ready before they are needed.

A thread takes the batches of the next calls of the update from the shards and hands them to the
device while the present one computes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from hpcgan.data.placement import Shard

# Calls of the update whose batches are made ahead: one to be taken, one being gathered.
_AHEAD = 2


class Prefetcher:
    """The batches of the shards that one rank hosts."""

    def __init__(
        self, shards: Iterable[Shard], per_step: int, sample_shape: tuple[int, ...], dtype: str
    ) -> None:
        """Prepare to read; nothing is read yet.

        Args:
            shards: the hosted shards, ascending, of samples or of their labels.
            per_step: samples that each shard takes per step.
            sample_shape: of one sample, or label.
            dtype: of the samples.
        """
        self._shards = list(shards)
        self._per_step = per_step
        self._batch = np.empty((len(self._shards), 0, *sample_shape), dtype)

    def batches(self, calls: Iterable[tuple[int, int]]) -> Iterator[tf.Tensor]:
        """Yield the batches of each call of the update, in order.

        Args:
            calls: (first step, number of steps) of each.

        Yields:
            A tensor (steps, shards, per_step, *sample_shape) of the samples' dtype.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="prefetcher") as pool:
            pending: deque[Future[tf.Tensor]] = deque()
            for first_step, steps in calls:
                pending.append(pool.submit(self._gather, first_step, steps))
                if len(pending) > _AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def _gather(self, first_step: int, steps: int) -> tf.Tensor:
        """Return the batches of ``steps`` steps."""
        count = steps * self._per_step
        if self._batch.shape[1] != count:
            number, _, *sample_shape = self._batch.shape
            self._batch = np.empty((number, count, *sample_shape), self._batch.dtype)
        for shard, part in zip(self._shards, self._batch, strict=True):
            shard.take(first_step * self._per_step, part)
        by_step = self._batch.reshape(
            len(self._shards), steps, self._per_step, *self._batch.shape[2:]
        )
        return tf.constant(by_step.swapaxes(0, 1))  # a copy
