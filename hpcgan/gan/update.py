"""The compiled update of G and D: for each step, the turns that its players take.

In a simultaneous update both learn in one turn, from one forward pass; in an alternating one D has
some turns of its own, and then G. ``turns`` has what a turn is.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from hpcgan.config import Config
from hpcgan.exchange import Exchange
from hpcgan.gan.game import Game
from hpcgan.gan.player import Player
from hpcgan.gan.state import State
from hpcgan.gan.turns import Turns


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
            exchange: the sum over all ranks.
            exchange_gradients: the same for gradients alone, where they are sent in another way.
        """
        self._state = state
        self._rounds = config.train.discriminator_steps
        self._batch = config.train.batch_size
        self._hosted = len(shards)
        self._backoff = tf.Variable(1.0, trainable=False)
        self._discarded = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._stop = tf.Variable(0.0, trainable=False)
        self.go_back()
        own, aids = config.optimizer, (config, self._backoff)
        self._generator = Player(
            state.generator, state.generator_optimizer, own.generator, *aids, state.average
        )
        self._discriminator = Player(
            state.discriminator, state.discriminator_optimizer, own.discriminator, *aids
        )
        scale = state.loss_scale.scale.value if state.loss_scale else None
        self._game = Game(config, self._generator, self._discriminator, scale)
        self._step, turns = {
            "simultaneous": (self._simultaneous, 1),
            "alternating": (self._alternating, self._rounds + 1),
        }[config.train.update]
        self._turns = Turns(
            config, state, turns, shards, exchange, exchange_gradients, self._stop, self._discarded
        )
        # AutoGraph would read and rewrite all of this, for seconds, and find nothing to do.
        self.run = tf.function(
            self._run, input_signature=self._signature(config, dtype), autograph=False
        )

    def _signature(self, config: Config, dtype: str) -> list[tf.TensorSpec]:
        """Return what ``run`` takes: with labels only where the networks do."""
        per_step = self._batch * self._rounds
        sample_shape = tuple(self._state.discriminator.inputs[0].shape[1:])
        signature = [
            tf.TensorSpec((None, self._hosted, per_step, *sample_shape), dtype),
            tf.TensorSpec((), tf.int64),
        ]
        if config.model.condition != "none":
            kind = tf.float32 if config.model.condition == "regression" else tf.int32
            signature.append(tf.TensorSpec((None, self._hosted, per_step), kind))
        return signature

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
        losses, notes = self._turns.take(self._game.both, players, samples, labels, step, 0)
        return tf.concat([losses, notes], 0)

    def _alternating(
        self, samples: tf.Tensor, labels: tf.Tensor | None, step: tf.Tensor
    ) -> tf.Tensor:
        """``discriminator_steps`` turns of D, each on its own batch, then one of G."""
        batch, take = self._batch, self._turns.take
        game, d_loss, d_notes = self._game, tf.zeros(1), tf.zeros(2)
        for number in range(self._rounds):
            own = slice(number * batch, (number + 1) * batch)
            d_loss, notes = take(
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
        g_loss, g_notes = take(
            game.teach_generator, (self._generator,), samples[:, -batch:], last, step, self._rounds
        )
        return tf.concat([d_loss, g_loss, d_notes + g_notes], 0)
