"""One compiled update of G and D.

What an update computes is a pure function of weights, moving statistics, keys and batches. ``Game``
plays a shard's batch through both networks; ``Update`` adds up what has to be averaged (gradients,
moving statistics, losses) over the hosted shards, hands the sum to the exchange, which adds those
of the other ranks, and has the players learn. The average is over shards, each with weight one,
however they are spread over ranks; and everything of an update travels in one flat all-reduce.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import keras
import tensorflow as tf

from hpcgan.config import Config
from hpcgan.errors import ConfigError
from hpcgan.gan import noise
from hpcgan.gan.game import Batch, Game, Outcome
from hpcgan.gan.models.layers import SynchronisedBatchNormalization
from hpcgan.gan.player import Player, Tensors
from hpcgan.gan.schedule import ema_decay
from hpcgan.gan.state import State
from hpcgan.gan.vector import Vector

Exchange = Callable[[tf.Tensor], tf.Tensor]

# A loop in the graph costs 5% of an update; a copy for each turn costs seconds of tracing.
_UNROLLED = 4


class Report(NamedTuple):
    """What happened in some steps: the same on all ranks.

    Attributes:
        losses: of D and G, (steps, 2), means over all shards.
        stop: (steps,), not 0 where a rank wants to stop.
        skipped: (steps,), not 0 where an update was left out: its numbers were not finite.
    """

    losses: tf.Tensor
    stop: tf.Tensor
    skipped: tf.Tensor


class Update:
    """The update of one rank's hosted shards, compiled for any number of steps a call."""

    def __init__(
        self,
        config: Config,
        state: State,
        dtype: str,
        shards: range,
        exchange: Exchange,
        exchange_gradients: Exchange | None = None,
    ) -> None:
        """Prepare the update.

        Args:
            config: with ``data.shards`` resolved to a number.
            state: the networks and optimizers, which ``run`` changes.
            dtype: of the samples, "uint8" or "float32".
            shards: those that this rank hosts.
            exchange: the sum over all ranks of a flat float32 vector.
            exchange_gradients: the same for gradients alone, where they are sent in another way.

        Raises:
            ConfigError: the networks cannot be normalised over several shards.
        """
        assert config.data.shards is not None
        train, optimizer = config.train, config.optimizer
        self._state = state
        self._shards = config.data.shards
        self._exchange = exchange
        self._exchange_gradients = exchange_gradients
        self._rounds = train.discriminator_steps
        self._parts = train.accumulate
        self._part = train.batch_size // train.accumulate
        self._ema = train.ema
        self._keys = noise.shard_keys(config.seed, shards)
        self._backoff = tf.Variable(1.0, trainable=False)
        self._discarded = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.go_back()
        aids = (config, self._backoff)
        self._generator = Player(
            state.generator, state.generator_optimizer, optimizer.generator, *aids
        )
        self._discriminator = Player(
            state.discriminator, state.discriminator_optimizer, optimizer.discriminator, *aids
        )
        scale = state.loss_scale.scale.value if state.loss_scale else None
        self._game = Game(config, self._generator, self._discriminator, scale)
        self._stop = tf.Variable(0.0, trainable=False)
        self._together = self._synchronise()
        self._step = {"simultaneous": self._simultaneous, "alternating": self._alternating}[
            train.update
        ]
        # AutoGraph would read and rewrite all of this, for seconds, and find nothing to do.
        self.run = tf.function(
            self._run, input_signature=self._signature(config, dtype), autograph=False
        )

    def _signature(self, config: Config, dtype: str) -> list[tf.TensorSpec]:
        """Return what ``run`` takes: with labels only where the networks do."""
        per_step = config.train.batch_size * self._rounds
        hosted = self._keys.shape[0]
        sample_shape = tuple(self._state.discriminator.inputs[0].shape[1:])
        signature = [
            tf.TensorSpec((None, hosted, per_step, *sample_shape), dtype),
            tf.TensorSpec((), tf.int64),
        ]
        if config.model.condition != "none":
            kind = tf.float32 if config.model.condition == "regression" else tf.int32
            signature.append(tf.TensorSpec((None, hosted, per_step), kind))
        return signature

    def _synchronise(self) -> bool:
        """Give layers that talk to other ranks the exchange; return whether there are any."""
        layers = [
            layer
            for layer in _layers(self._state.generator)
            if isinstance(layer, SynchronisedBatchNormalization)
        ]
        for layer in layers:
            layer.exchange = self._exchange
        if layers and self._generator.is_random:
            raise ConfigError(
                "model.normalisation is synchronised, for which the shards of a rank go through "
                "the generator together; it must then have no random layers, such as dropout"
            )
        return bool(layers)

    def ask_to_stop(self) -> None:
        """Tell all ranks in the next step's exchange that this one wants to stop."""
        self._stop.assign(1.0)

    def go_back(self) -> None:
        """Take note of the state's rollbacks: other noise, and half the learning rates for each.

        All ranks must call it after the same step, when the state has gone back to a checkpoint.
        """
        self._backoff.assign(0.5**self._state.rollbacks)
        self._discarded.assign(self._state.discarded)

    def _run(
        self, samples: tf.Tensor, first_step: tf.Tensor, labels: tf.Tensor | None = None
    ) -> Report:
        """Make one update for each step of ``samples``.

        All ranks must call it for the same steps, in any division into calls: each step
        exchanges as often on every rank.

        Args:
            samples: (steps, hosted shards, samples a step, *sample_shape), uint8 or float32.
            first_step: scalar int64, number of updates made before.
            labels: (steps, hosted shards, samples a step), int32 or float32; None if the networks
                take none.

        Returns:
            What happened in each step, the same on all ranks.
        """
        steps = tf.shape(samples)[0]

        def make(i: tf.Tensor, rows: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            of_step = None if labels is None else labels[i]
            row = self._step(samples[i], of_step, first_step + tf.cast(i, tf.int64))
            return i + 1, rows.write(i, row)

        rows = tf.TensorArray(tf.float32, size=steps, element_shape=(4,))
        _, rows = tf.while_loop(lambda i, _: i < steps, make, (0, rows))
        table = rows.stack()
        return Report(table[:, :2], table[:, 2], table[:, 3])

    def _simultaneous(
        self, samples: tf.Tensor, labels: tf.Tensor | None, step: tf.Tensor
    ) -> tf.Tensor:
        """Both players learn from one forward pass, averaged in one exchange."""
        players = (self._discriminator, self._generator)
        losses, notes = self._turn(self._game.both, players, samples, labels, step, 0)
        return tf.concat([losses, notes], 0)

    def _alternating(
        self, samples: tf.Tensor, labels: tf.Tensor | None, step: tf.Tensor
    ) -> tf.Tensor:
        """``discriminator_steps`` turns of D, each on its own batch, then one of G."""
        batch = self._parts * self._part
        game, d_loss, d_notes = self._game, tf.zeros(1), tf.zeros(2)
        for number in range(self._rounds):
            own = slice(number * batch, (number + 1) * batch)
            d_loss, notes = self._turn(
                game.teach_discriminator,
                (self._discriminator,),
                samples[:, own],
                None if labels is None else labels[:, own],
                step,
                number,
            )
            d_notes += notes
        # G has latents of its own, and the labels of D's last batch.
        last = None if labels is None else labels[:, -batch:]
        g_loss, g_notes = self._turn(
            game.teach_generator, (self._generator,), samples[:, -batch:], last, step, self._rounds
        )
        return tf.concat([d_loss, g_loss, d_notes + g_notes], 0)

    def _turn(
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
            turn: number of this turn in the step.

        Returns:
            The mean losses, one a player; and two notes, not 0 where a rank wants to stop and where
            the players did not learn.
        """
        weights = [tuple(w.shape) for player in players for w in player.weights]
        statistics = [tuple(s.shape) for player in players for s in player.statistics]
        vector = Vector([*weights, *statistics, *[()] * len(players), ()])
        groups = self._groups(samples, labels, step, turn)

        def add(unit: tf.Tensor | int, total: tf.Tensor) -> tuple[tf.Tensor | int, tf.Tensor]:
            outcome = play(groups(unit))
            said = [*outcome.gradients, *outcome.statistics, *outcome.losses, self._stop]
            return unit + 1, total + vector.join(said)

        number = self._parts if self._together else self._parts * self._keys.shape[0]
        total = _repeat(number, add, tf.zeros([vector.length]))
        mean = total / float(self._shards * self._parts)
        summed = self._sum(mean, Vector(weights).length)
        # All ranks see the same sum. Infinite or no number at all in it, and it is so too.
        finite = tf.math.is_finite(tf.reduce_sum(summed))
        averaged = vector.split(summed)
        ends = (len(weights), len(weights) + len(statistics))
        self._learn(players, averaged[: ends[0]], averaged[ends[0] : ends[1]], step, finite)
        *losses, stop = averaged[ends[1] :]
        return tf.stack(losses), tf.stack([stop, 1.0 - tf.cast(finite, tf.float32)])

    def _groups(
        self, samples: tf.Tensor, labels: tf.Tensor | None, step: tf.Tensor, turn: int
    ) -> Callable[[tf.Tensor | int], list[Batch]]:
        """Return what gives the group of shards of a number, a part of their batches."""
        hosted = self._keys.shape[0]
        shape = (hosted, self._parts, self._part)
        parts = tf.reshape(samples, (*shape, *samples.shape[2:]))
        label_parts = None if labels is None else tf.reshape(labels, shape)

        def batch(shard: tf.Tensor | int, part: tf.Tensor | int) -> Batch:
            drawn = step + self._discarded
            keys = noise.turn_keys(self._keys[shard], drawn, turn * self._parts + part)
            own = None if label_parts is None else label_parts[shard, part]
            return Batch(keys, _scaled(parts[shard, part]), own)

        def group(unit: tf.Tensor | int) -> list[Batch]:
            if self._together:
                return [batch(shard, unit) for shard in range(hosted)]
            return [batch(unit // self._parts, unit % self._parts)]

        return group

    def _sum(self, vector: tf.Tensor, gradients: int) -> tf.Tensor:
        """Return the sum over all ranks of a vector that begins with so many gradients."""
        if self._exchange_gradients is None:
            return self._exchange(vector)
        return tf.concat(
            [self._exchange_gradients(vector[:gradients]), self._exchange(vector[gradients:])], 0
        )

    def _learn(
        self,
        players: tuple[Player, ...],
        gradients: Tensors,
        statistics: Tensors,
        step: tf.Tensor,
        finite: tf.Tensor,
    ) -> None:
        """Have the players learn if all that they would learn from is finite."""
        scale = self._state.loss_scale
        if scale is not None:
            gradients = [gradient / scale.scale for gradient in gradients]

        def learn() -> None:
            first_weight = first_statistic = 0
            for player in players:
                weights = slice(first_weight, first_weight + len(player.weights))
                own = slice(first_statistic, first_statistic + len(player.statistics))
                player.learn(gradients[weights], statistics[own], step)
                first_weight, first_statistic = weights.stop, own.stop
            if self._generator in players and self._ema is not None:
                self._follow(step)

        tf.cond(finite, learn, lambda: None)
        if scale is not None:
            scale.adapt(finite)

    def _follow(self, step: tf.Tensor) -> None:
        """Move the average of G towards G, with its moving statistics."""
        assert self._state.average is not None
        assert self._ema is not None
        decay = ema_decay(step, self._ema)
        average, current = self._state.average.variables, self._state.generator.variables
        for mean, value in zip(average, current, strict=True):
            if not value.path.endswith("seed_generator_state"):
                mean.assign_add((1 - decay) * (value - mean))


def _repeat(
    times: int,
    work: Callable[[tf.Tensor | int, tf.Tensor], tuple[tf.Tensor | int, tf.Tensor]],
    total: tf.Tensor,
) -> tf.Tensor:
    """Return the total that ``work``, given a number from 0 and the total, has after some times."""
    if times <= _UNROLLED:
        for number in range(times):
            _, total = work(number, total)
        return total
    # One after the other: each needs memory.
    return tf.while_loop(lambda number, _: number < times, work, (0, total), parallel_iterations=1)[
        1
    ]


def _layers(model: keras.Model) -> Iterator[keras.Layer]:
    """Yield all layers of a network, those of networks inside it too."""
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _layers(layer)


def _scaled(samples: tf.Tensor) -> tf.Tensor:
    """Return uint8 samples as float32 in [-1, 1]; float32 ones as they are."""
    if samples.dtype == tf.uint8:
        return tf.cast(samples, tf.float32) / 127.5 - 1.0
    return samples
