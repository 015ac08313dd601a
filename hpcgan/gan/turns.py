"""A turn: players play a batch of every shard, and learn from the average over all shards.

What a turn computes is a pure function of weights, moving statistics, keys and batches. ``Game``
plays a shard's batch through both networks; a turn adds up what has to be averaged (gradients,
moving statistics, losses) over the hosted shards, hands the sum to the exchange, which adds those
of the other ranks, and has the players learn. The average is over shards, each with weight one,
however they are spread over ranks; and everything of a turn travels in one flat all-reduce.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from hpcgan.config import Config
from hpcgan.exchange import Exchange
from hpcgan.gan import noise
from hpcgan.gan.game import Batch, Outcome
from hpcgan.gan.models.layers import synchronised
from hpcgan.gan.player import Player
from hpcgan.gan.state import State
from hpcgan.gan.vector import Vector

# Groups of shards up to which the graph has a copy for each: a loop costs 5% of an update, a copy
# seconds of tracing.
UNROLLED = 4


class Turns:
    """The turns of one rank's hosted shards, as parts of the compiled update."""

    def __init__(
        self,
        config: Config,
        state: State,
        turns: int,
        shards: range,
        exchange: Exchange,
        exchange_gradients: Exchange | None,
        stop: tf.Variable,
        discarded: tf.Variable,
    ) -> None:
        """Prepare the turns.

        Args:
            config: with ``data.shards`` resolved to a number.
            state: the networks that play.
            turns: of a step.
            shards: those that this rank hosts.
            exchange: the sum over all ranks.
            exchange_gradients: the same for gradients alone, where they are sent in another way.
            stop: scalar float32, not 0 when this rank wants to stop.
            discarded: scalar int64, updates that were lost by going back: noise goes on after them.
        """
        assert config.data.shards is not None
        self._shards = config.data.shards
        self._exchange = exchange
        self._exchange_gradients = exchange_gradients
        self._stop = stop
        self._discarded = discarded
        self._loss_scale = state.loss_scale
        self._parts = config.train.accumulate
        self._part = config.train.batch_size // config.train.accumulate
        self._number = self._parts * turns
        self._streams = noise.streams(config.seed, self._number, shards)
        layers = synchronised(state.generator)
        for layer in layers:
            layer.exchange = exchange
        self._together = bool(layers)

    def take(
        self,
        play: Callable[[list[Batch]], Outcome],
        players: tuple[Player, ...],
        samples: tf.Tensor,
        labels: tf.Tensor | None,
        step: tf.Tensor,
        turn: int,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Play a batch of every shard and let ``players`` learn, if all numbers are finite.

        Args:
            play: gives the sums over a group of shards.
            players: those that learn from it.
            samples: (hosted shards, batch, *sample_shape).
            labels: (hosted shards, batch) or None.
            step: updates made before.
            turn: number of this turn in the step, below ``turns``: noise is counted by it.

        Returns:
            The mean losses, one a player; and two notes, not 0 where a rank wants to stop and where
            the players did not learn.
        """
        weights = [tuple(w.shape) for player in players for w in player.weights]
        statistics = [tuple(s.shape) for player in players for s in player.statistics]
        vector = Vector([*weights, *statistics, (len(players) + 1,)])
        groups = self._groups(samples, labels, step, turn)

        def said(unit: tf.Tensor | int) -> tf.Tensor:
            outcome = play(groups(unit))
            notes = tf.stack([*outcome.losses, self._stop])
            return vector.join([*outcome.gradients, *outcome.statistics, notes])

        number = self._parts if self._together else self._parts * self._streams.shape[0]
        total = _sum(number, said, vector.length)
        mean = self._average(total, Vector(weights).length)
        # All ranks see the same mean. Infinite or no number at all in it, and its sum is so too.
        finite = tf.math.is_finite(tf.reduce_sum(mean))
        self._learn(players, vector, mean, step, finite)
        notes = vector.split(mean)[-1]
        return notes[:-1], tf.stack([notes[-1], 1.0 - tf.cast(finite, tf.float32)])

    def _groups(
        self, samples: tf.Tensor, labels: tf.Tensor | None, step: tf.Tensor, turn: int
    ) -> Callable[[tf.Tensor | int], list[Batch]]:
        """Return what gives the group of shards of a number, a part of their batches."""
        hosted = self._streams.shape[0]
        shape = (hosted, self._parts, self._part)
        parts = tf.reshape(samples, (*shape, *samples.shape[2:]))
        label_parts = None if labels is None else tf.reshape(labels, shape)

        def batch(shard: tf.Tensor | int, part: tf.Tensor | int) -> Batch:
            drawn = step + self._discarded
            number = turn * self._parts + part
            keys = noise.turn_keys(self._streams[shard], drawn, number, self._number)
            own = None if label_parts is None else label_parts[shard, part]
            return Batch(keys, _scaled(parts[shard, part]), own)

        def group(unit: tf.Tensor | int) -> list[Batch]:
            if self._together:
                return [batch(shard, unit) for shard in range(hosted)]
            return [batch(unit // self._parts, unit % self._parts)]

        return group

    def _average(self, total: tf.Tensor, gradients: int) -> tf.Tensor:
        """Return the mean over all shards, given this rank's sum, which begins with gradients."""
        scale = 1.0 / (self._shards * self._parts)
        if self._exchange_gradients is None:
            return self._exchange(total, scale)
        first, others = total[:gradients], total[gradients:]
        return tf.concat([self._exchange_gradients(first, scale), self._exchange(others, scale)], 0)

    def _learn(
        self,
        players: tuple[Player, ...],
        vector: Vector,
        mean: tf.Tensor,
        step: tf.Tensor,
        finite: tf.Tensor,
    ) -> None:
        """Have the players learn if all that they would learn from is finite."""
        scale = self._loss_scale

        def learn() -> None:
            # Split in here: what enters a branch costs a small operation each.
            tensors = iter(vector.split(mean))
            all_gradients = [[next(tensors) for _ in player.weights] for player in players]
            all_statistics = [[next(tensors) for _ in player.statistics] for player in players]
            for player, gradients, statistics in zip(
                players, all_gradients, all_statistics, strict=True
            ):
                if scale is not None:
                    gradients = [gradient / scale.scale for gradient in gradients]
                player.learn(gradients, statistics, step)

        tf.cond(finite, learn, lambda: None)
        if scale is not None:
            scale.adapt(finite)


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


def _scaled(samples: tf.Tensor) -> tf.Tensor:
    """Return uint8 samples as float32 in [-1, 1]; float32 ones as they are."""
    if samples.dtype == tf.uint8:
        return tf.cast(samples, tf.float32) / 127.5 - 1.0
    return samples
