"""An update of networks: the mean over all shards of what was found locally, then apply.

gradients, statistics, losses of the shards of this rank       Objective
  -> one flat vector: the sum over these shards
  -> the mean over the shards of all ranks                     AllReduce, once an update
  -> the same update of the networks on every rank             Network.apply_gradients
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from hpcgan.all_reduce import AllReduce
from hpcgan.gan.loss_scale import LossScale
from hpcgan.gan.network import Network, Tensors
from hpcgan.gan.objective import Gradients
from hpcgan.gan.vector import Vector


class Sums(NamedTuple):
    """The sums over ranks by which an update is made.

    Attributes:
        all_reduce: of everything, or of all but the gradients.
        gradients: of the gradients alone, where they are sent in another way.
    """

    all_reduce: AllReduce
    gradients: AllReduce | None = None


class Update:
    """The update of networks whose gradients travel together."""

    def __init__(
        self,
        networks: Sequence[Network],
        batches: int,
        sums: Sums,
        scale: LossScale | None = None,
        is_measured: bool = False,
    ) -> None:
        """Lay out what travels.

        Args:
            networks: that are updated.
            batches: over which the mean is taken, those of all ranks.
            sums: over the ranks.
            scale: of the losses, in half precision.
            is_measured: whether the noise of the gradients ever is (``noise_scale``).
        """
        self._is_measured = is_measured
        self._networks = networks
        self._scale = scale
        self._sums = sums
        self._factor = 1.0 / batches
        weights = [tuple(w.shape) for network in networks for w in network.weights]
        statistics = [tuple(s.shape) for network in networks for s in network.statistics]
        self._gradients = Vector(weights).length
        self._vector = Vector([*weights, *statistics, (2 * len(networks) + 1,)])
        self.length = self._vector.length

    def join(
        self, found: Sequence[Gradients], note: tf.Tensor, measured: tf.Tensor | bool = False
    ) -> tf.Tensor:
        """Return what was found of each network, and a note, as one vector, (length,).

        Where the noise of the gradients is ``measured``, their squares are among it.
        """
        weights = [each.weights for each in found]
        statistics = [each for one in found for each in one.statistics]
        squares = self._squares(measured, lambda: weights)
        notes = tf.concat([tf.stack([*(one.loss for one in found), note]), squares], 0)
        return self._vector.join([*(each for one in weights for each in one), *statistics, notes])

    def apply(self, total: tf.Tensor, step: tf.Tensor, live: tf.Tensor | None = None) -> tf.Tensor:
        """Update the networks by the sum over this rank's batches, if all numbers are finite.

        Args:
            total: of ``join``.
            step: updates made before.
            live: whether to update at all.

        Returns:
            The losses, one of each network, the note's mean, not 0 where the update was left out,
            since its numbers were not finite, and of each network the mean square of what was
            measured of its gradients, and the square of their mean; 0 where nothing was.
        """
        mean = self._mean(total)
        # All ranks see the same mean. If a number in it is not finite, its sum is not.
        finite = tf.math.is_finite(tf.reduce_sum(mean))
        notes = self._vector.split(mean)[-1]
        count = len(self._networks)
        # Before the update, with the weights by which those of the parts were made.
        measured = self._is_measured and notes[count + 1] > 0
        of_mean = self._squares(measured, lambda: self._split(mean)[0])
        squares = tf.stack([notes[count + 1 : 2 * count + 1], of_mean], 1)
        squares = tf.where(finite, squares, 0.0)

        def move() -> None:
            # Split in here: what enters a branch costs a small operation each.
            gradients, statistics = self._split(mean)
            for network, own, new in zip(self._networks, gradients, statistics, strict=True):
                if self._scale:
                    own = [gradient / self._scale.scale for gradient in own]
                network.apply_gradients(own, new, step)

        tf.cond(finite if live is None else finite & live, move, lambda: None)
        if self._scale:
            self._scale.adapt(finite)
        skipped = 1.0 - tf.cast(finite, tf.float32)
        return tf.concat([notes[: count + 1], [skipped], tf.reshape(squares, [-1])], 0)

    def _split(self, mean: tf.Tensor) -> tuple[list[Tensors], list[Tensors]]:
        """Return each network's gradients, and each one's statistics."""
        tensors = iter(self._vector.split(mean))
        gradients = [[next(tensors) for _ in each.weights] for each in self._networks]
        return gradients, [[next(tensors) for _ in each.statistics] for each in self._networks]

    def _squares(
        self, measured: tf.Tensor | bool, gradients: Callable[[], list[Tensors]]
    ) -> tf.Tensor:
        """Return the square of each network's gradients, (networks,); 0 if it is not measured."""

        def squares() -> tf.Tensor:
            pairs = zip(self._networks, gradients(), strict=True)
            found = tf.stack([network.weighed_square(own) for network, own in pairs])
            return found / tf.square(self._scale.scale) if self._scale else found

        zeros = tf.zeros([len(self._networks)])
        if isinstance(measured, bool):
            return squares() if measured else zeros
        return tf.cond(measured, squares, lambda: zeros)

    def _mean(self, total: tf.Tensor) -> tf.Tensor:
        """Return the mean over the batches of all ranks, given this rank's sum."""
        all_reduce, reduce_gradients = self._sums
        if reduce_gradients is None:
            return all_reduce(total, self._factor)
        first, others = total[: self._gradients], total[self._gradients :]
        return tf.concat(
            [reduce_gradients(first, self._factor), all_reduce(others, self._factor)], 0
        )
