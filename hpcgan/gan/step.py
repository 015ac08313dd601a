"""One training step: local gradients, all-reduce, apply.

    gradients, statistics, losses of the shards of this rank       Objective
      -> one flat vector: the sum over these shards
      -> the mean over the shards of all ranks                     AllReduce, once an update
      -> the same update of the networks on every rank             Network.apply_gradients

In a simultaneous step D and G are updated at once, from one forward pass; in an alternating one D
has some updates of its own, and then G. Every shard has weight one in the mean, however the shards
are spread over ranks. What is computed before the update is a pure function of weights, moving
statistics, keys and batches.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from hpcgan.all_reduce import AllReduce
from hpcgan.config import Config
from hpcgan.gan import noise
from hpcgan.gan.models.normalisation import synchronised
from hpcgan.gan.models.together import shards_together
from hpcgan.gan.network import Network
from hpcgan.gan.objective import Batch, Gradients, Objective
from hpcgan.gan.state import State
from hpcgan.gan.vector import Vector

# Batches of a rank up to which the graph has a copy for each: a loop costs part of each step, a
# copy seconds of tracing.
UNROLLED = 4


class TrainingStep:
    """The training step of one rank and its shards, as part of a compiled function.

    Attributes:
        together: shards of this rank that go through the networks in one batch.
        stop: scalar float32, not 0 when this rank wants to stop.
    """

    def __init__(
        self,
        config: Config,
        state: State,
        shards: range,
        all_reduce: AllReduce,
        reduce_gradients: AllReduce | None = None,
    ) -> None:
        """Prepare the step.

        Args:
            config: with ``data.shards`` resolved to a number.
            state: the networks and optimizers, which a step changes.
            shards: those that this rank hosts.
            all_reduce: the sum over all ranks.
            reduce_gradients: the same for gradients alone, where they are sent in another way.
        """
        train = config.train
        assert config.data.shards is not None
        self._shards = config.data.shards
        self._state = state
        self._all_reduce = all_reduce
        self._reduce_gradients = reduce_gradients
        self._batch_size = train.batch_size
        self._d_updates = train.discriminator_steps
        self._parts = train.accumulate  # of a shard's batch, one after the other
        self._updates = 1 if train.update == "simultaneous" else self._d_updates + 1
        self._streams = noise.streams(config.seed, self._updates * self._parts, shards)
        networks = (state.generator, state.discriminator)
        self.together = shards_together(networks, len(shards), train.batch_size // self._parts)
        for layer in synchronised(state.generator):
            layer.all_reduce = all_reduce
        self.stop = tf.Variable(0.0, trainable=False)
        self._discarded = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._backoff = tf.Variable(1.0, trainable=False)
        self.take_rollbacks()
        own, aids = config.optimizer, (config, self._backoff)
        self._generator = Network(
            state.generator, state.generator_optimizer, own.generator, *aids, state.average
        )
        self._discriminator = Network(
            state.discriminator, state.discriminator_optimizer, own.discriminator, *aids
        )
        scale = state.loss_scale.scale.value if state.loss_scale else None
        self._objective = Objective(config, self._generator, self._discriminator, scale)

    def take_rollbacks(self) -> None:
        """Take the state's rollbacks: other noise, and half the learning rates for each.

        All ranks must call it after the same step, when the state has gone back to a checkpoint.
        """
        self._backoff.assign(0.5**self._state.rollbacks)
        self._discarded.assign(self._state.discarded)

    def simultaneous(
        self, samples: tf.Tensor, labels: tf.Tensor | None, step: tf.Tensor
    ) -> tf.Tensor:
        """Update both networks from one forward pass, with one all-reduce.

        Args:
            samples: (hosted shards, batch, *sample_shape), uint8 or float32.
            labels: (hosted shards, batch), (hosted shards, batch, K) or None.
            step: updates made before, scalar int64.

        Returns:
            (4,): the mean losses of D and G, and two notes, not 0 where a rank wants to stop and
            where the update was left out, since its numbers were not finite.
        """
        networks = (self._discriminator, self._generator)
        return self._update(self._objective.joint, networks, samples, labels, step, 0)

    def alternating(
        self, samples: tf.Tensor, labels: tf.Tensor | None, step: tf.Tensor
    ) -> tf.Tensor:
        """Update D ``discriminator_steps`` times, each on its own batch, and then G.

        Each update makes an all-reduce. The arguments and what is returned are those of
        ``simultaneous``, with ``discriminator_steps`` times the samples of a batch.
        """
        size, d_network, g_network = self._batch_size, self._discriminator, self._generator
        d_notes = tf.zeros(2)
        for number in range(self._d_updates):
            own = slice(number * size, (number + 1) * size)
            real, of_real = samples[:, own], None if labels is None else labels[:, own]
            row = self._update(
                self._objective.discriminator, (d_network,), real, of_real, step, number
            )
            d_loss, d_notes = row[:1], d_notes + row[1:]
        # G has latents of its own, and the labels of D's last batch.
        row = self._update(
            self._objective.generator, (g_network,), real, of_real, step, self._d_updates
        )
        return tf.concat([d_loss, row[:1], d_notes + row[1:]], 0)

    def _update(
        self,
        gradients_of: Callable[[Batch], Gradients],
        networks: tuple[Network, ...],
        samples: tf.Tensor,
        labels: tf.Tensor | None,
        step: tf.Tensor,
        number: int,
    ) -> tf.Tensor:
        """Update networks by a batch of every shard, if all numbers are finite.

        ``number`` counts the updates within the step. Returns the losses, one of each network,
        and the two notes.
        """
        weights = [tuple(w.shape) for network in networks for w in network.weights]
        statistics = [tuple(s.shape) for network in networks for s in network.statistics]
        vector = Vector([*weights, *statistics, (len(networks) + 1,)])
        batches = self._batches(samples, labels, step, number)

        def local(index: tf.Tensor | int) -> tf.Tensor:
            found = gradients_of(batches(index))
            notes = tf.stack([*found.losses, self.stop])
            return vector.join([*found.weights, *found.statistics, notes])

        passes = self._parts * len(self._streams) // self.together
        total = _sum(passes, local, vector.length)
        mean = self._mean(total, Vector(weights).length)
        # All ranks see the same mean. If a number in it is not finite, its sum is not.
        finite = tf.math.is_finite(tf.reduce_sum(mean))
        scale = self._state.loss_scale

        def apply() -> None:
            # Split in here: what enters a branch costs a small operation each.
            tensors = iter(vector.split(mean))
            all_gradients = [[next(tensors) for _ in network.weights] for network in networks]
            all_statistics = [[next(tensors) for _ in network.statistics] for network in networks]
            for network, gradients, new in zip(
                networks, all_gradients, all_statistics, strict=True
            ):
                if scale:
                    gradients = [gradient / scale.scale for gradient in gradients]
                network.apply_gradients(gradients, new, step)

        tf.cond(finite, apply, lambda: None)
        if scale:
            scale.adapt(finite)
        return tf.concat([vector.split(mean)[-1], [1.0 - tf.cast(finite, tf.float32)]], 0)

    def _batches(
        self, samples: tf.Tensor, labels: tf.Tensor | None, step: tf.Tensor, number: int
    ) -> Callable[[tf.Tensor | int], Batch]:
        """Return what gives the batch of an index: a part of the batches of some shards."""
        parts, together = self._parts, self.together
        count = self._updates * parts  # batches of a shard in a step
        streams = tf.reshape(self._streams, (-1, together))
        size = self._batch_size // parts
        shape = (len(self._streams) // together, together, parts, size)
        of_parts = tf.reshape(samples, (*shape, *samples.shape[2:]))
        own = None if labels is None else tf.reshape(labels, (*shape, *labels.shape[2:]))

        def batch(index: tf.Tensor | int) -> Batch:
            group, part = index // parts, index % parts
            place = number * parts + part
            keys = noise.batch_keys(streams[group], step + self._discarded, place, count)
            real = _scaled(_joined(of_parts[group, :, part]))
            return Batch(keys, real, None if own is None else _joined(own[group, :, part]))

        return batch

    def _mean(self, total: tf.Tensor, gradients: int) -> tf.Tensor:
        """Return the mean over all shards, given this rank's sum, which begins with gradients."""
        scale = 1.0 / (self._shards * self._parts)
        if self._reduce_gradients is None:
            return self._all_reduce(total, scale)
        first, others = total[:gradients], total[gradients:]
        return tf.concat([self._reduce_gradients(first, scale), self._all_reduce(others, scale)], 0)


def _sum(times: int, give: Callable[[tf.Tensor | int], tf.Tensor], length: int) -> tf.Tensor:
    """Return the sum of the vectors, (length,), that ``give`` has for the numbers from 0."""
    if times <= UNROLLED:
        return tf.add_n([give(number) for number in range(times)])
    # One after the other: each needs memory.
    return tf.while_loop(
        lambda number, _: number < times,
        lambda number, total: (number + 1, total + give(number)),
        (0, tf.zeros([length])),
        parallel_iterations=1,
    )[1]


def _joined(batches: tf.Tensor) -> tf.Tensor:
    """Return the batches of several shards, (shards, batch, ...), as one."""
    return tf.reshape(batches, (-1, *batches.shape[2:]))


def _scaled(samples: tf.Tensor) -> tf.Tensor:
    """Return uint8 samples as float32 in [-1, 1]; float32 ones as they are."""
    if samples.dtype == tf.uint8:
        return tf.cast(samples, tf.float32) / 127.5 - 1.0
    return samples
