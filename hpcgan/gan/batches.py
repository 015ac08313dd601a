"""The batches of a rank's shards in a training step, each with the keys of its random numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from hpcgan.config import Config
from hpcgan.gan import noise
from hpcgan.gan.objective import Batch

# Batches of a rank up to which the graph has a copy for each: a loop costs part of each step, a
# copy seconds of tracing.
UNROLLED = 4


class Batches:
    """What goes through the networks one after the other: parts of the batches of some shards.

    Attributes:
        passes: how many there are in an update.
        parts: of a shard's batch.
        are_measured: whether the noise of their gradients is measured (``noise_scale``).
        apart: the same of one shard at a time, for that; None where they are apart already.
    """

    def __init__(
        self,
        config: Config,
        shards: range,
        together: int,
        are_measured: bool = False,
        in_loop: bool = False,
    ) -> None:
        """Prepare the batches.

        Args:
            config: of the run.
            shards: of this rank.
            together: of them go through the networks at once.
            are_measured: as the attribute.
            in_loop: whether the graph has one copy for all, however few they are.
        """
        self.are_measured = are_measured
        is_apart = are_measured and together > 1
        self.apart = Batches(config, shards, 1, in_loop=True) if is_apart else None
        self._in_loop = in_loop
        train = config.train
        updates = 1 if train.update == "simultaneous" else train.discriminator_steps + 1
        self.parts = train.accumulate
        self._batch_size = train.batch_size
        self._real = train.discriminator_steps  # batches of real samples of a shard in a step
        self._count = updates * self.parts  # batches of a shard in a step
        self._size = train.batch_size // self.parts
        self._together = together
        self._groups = len(shards) // together
        self._shards = shards
        with tf.device(noise.SEEDS_ON):
            self._streams = tf.Variable(self._drawn(config.seed), trainable=False)
        self.passes = self._groups * self.parts

    @property
    def _is_unrolled(self) -> bool:
        return self.passes <= UNROLLED and not self._in_loop

    def refresh(self, seed: int) -> None:
        """Go on with the random numbers of another seed."""
        self._streams.assign(self._drawn(seed))
        if self.apart:
            self.apart.refresh(seed)

    def _drawn(self, seed: int) -> tf.Tensor:
        """Return the streams of the shards, (groups, together) int64."""
        found = noise.streams(seed, self._count, self._shards)
        return tf.reshape(found, (-1, self._together))

    def __call__(
        self, samples: tf.Tensor | None, labels: tf.Tensor | None, step: tf.Tensor, number: int
    ) -> Callable[[tf.Tensor | int], Batch]:
        """Return what gives the batch of an index.

        Args:
            samples: of the step, (shards, samples, *sample_shape), uint8 or float32, or None.
            labels: of the step, (shards, samples), (shards, samples, K) or None.
            step: by which random numbers are counted, scalar int64.
            number: of the update within the step: one of D's, or after those G's, which has latents
                of its own, and the labels of D's last batch.
        """
        of_parts = None if samples is None else self._in_parts(samples, number)
        own = None if labels is None else self._in_parts(labels, number)
        streams = tf.convert_to_tensor(self._streams)  # once, for all batches of the update

        def batch(index: tf.Tensor | int) -> Batch:
            group, part = index // self.parts, index % self.parts
            place = number * self.parts + part
            keys = noise.batch_keys(streams[group], step, place, self._count)
            real = None if of_parts is None else _scaled(_joined(of_parts[group, :, part]))
            of_real = None if own is None else _joined(own[group, :, part])
            return Batch(keys, self._size, real, of_real)

        return batch

    def pieces(self, samples: tf.Tensor, number: int) -> Callable[[tf.Tensor | int], tf.Tensor]:
        """Return what gives an index its part of an update's samples, of those of the step."""
        of_parts = self._in_parts(samples, number)
        return lambda index: _joined(of_parts[index // self.parts, :, index % self.parts])

    def by_shard(self, stacked: tf.Tensor) -> tf.Tensor:
        """Return (shards, batch, ...) of what was made for all indices, (passes, samples, ...)."""
        rest = stacked.shape[2:]
        shape = (self._groups, self.parts, self._together, self._size)
        ordered = tf.experimental.numpy.swapaxes(tf.reshape(stacked, (*shape, *rest)), 1, 2)
        return tf.reshape(ordered, (-1, self.parts * self._size, *rest))

    def _in_parts(self, tensor: tf.Tensor, number: int) -> tf.Tensor:
        """Return an update's part of a step's, as (groups, together, parts, size, ...)."""
        first = min(number, self._real - 1) * self._batch_size
        own = tensor[:, first : first + self._batch_size]
        shape = (self._groups, self._together, self.parts, self._size)
        return tf.reshape(own, (*shape, *tensor.shape[2:]))

    def sums(
        self, lengths: Sequence[int], give: Callable[[tf.Tensor | int], Sequence[tf.Tensor]]
    ) -> list[tf.Tensor]:
        """Return the sums over all indices of the vectors that ``give`` has for one.

        ``lengths`` are theirs.
        """
        if self._is_unrolled:
            found = [give(index) for index in range(self.passes)]
            return [tf.add_n(each) for each in zip(*found, strict=True)]

        def add(index: tf.Tensor, *totals: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return (index + 1, *(a + b for a, b in zip(totals, give(index), strict=True)))

        # One after the other: each needs memory.
        zeros = [tf.zeros([length]) for length in lengths]
        start = (tf.constant(0), *zeros)
        end = tf.while_loop(lambda i, *_: i < self.passes, add, start, parallel_iterations=1)
        return list(end[1:])

    def sum_and_stack(
        self, length: int, give: Callable[[tf.Tensor | int], tuple[tf.Tensor, tf.Tensor]]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the sum of the first that ``give`` has for each index, and all of the second.

        The first is a vector of some length, the second becomes (passes, ...), float32.
        """
        if self._is_unrolled:
            vectors, others = zip(*map(give, range(self.passes)), strict=True)
            return tf.add_n(vectors), tf.stack(others)

        def add(
            index: tf.Tensor, total: tf.Tensor, rows: tf.TensorArray
        ) -> tuple[tf.Tensor, tf.Tensor, tf.TensorArray]:
            vector, other = give(index)
            return index + 1, total + vector, rows.write(index, other)

        rows = tf.TensorArray(tf.float32, self.passes)
        start = (tf.constant(0), tf.zeros([length]), rows)
        end = tf.while_loop(lambda i, *_: i < self.passes, add, start, parallel_iterations=1)
        return end[1], end[2].stack()

    def stacked(self, give: Callable[[tf.Tensor | int], tf.Tensor]) -> tf.Tensor:
        """Return what ``give`` has for each index, (passes, ...), float32."""
        return self.sum_and_stack(1, lambda index: (tf.zeros([1]), give(index)))[1]


def _joined(batches: tf.Tensor) -> tf.Tensor:
    """Return the batches of several shards, (shards, batch, ...), as one."""
    return tf.reshape(batches, (-1, *batches.shape[2:]))


def _scaled(samples: tf.Tensor) -> tf.Tensor:
    """Return uint8 samples as float32 in [-1, 1]; float32 ones as they are."""
    if samples.dtype == tf.uint8:
        return tf.cast(samples, tf.float32) / 127.5 - 1.0
    return samples
