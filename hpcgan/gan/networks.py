"""The networks of a run as its training step uses them."""

from __future__ import annotations

import tensorflow as tf

from hpcgan.config import Config
from hpcgan.gan.network import Network
from hpcgan.gan.objective import Objective
from hpcgan.gan.state import State


class Networks:
    """The networks of a state as a training step uses them, and what they share.

    Attributes:
        generator: G.
        discriminators: each D.
        objectives: of G and each D.
        stop: scalar float32, not 0 when this rank wants to stop.
        discarded: updates that were lost by rollbacks, int64.
    """

    def __init__(self, config: Config, state: State) -> None:
        """Prepare them; ``config`` has ``data.shards`` resolved to a number."""
        self._state = state
        self.stop = tf.Variable(0.0, trainable=False)
        self.discarded = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._backoff = tf.Variable(1.0, trainable=False)
        self.take_rollbacks()
        own, aids = config.optimizer, (config, self._backoff)
        self.generator = Network(
            state.generator, state.generator_optimizer, own.generator, *aids, state.average
        )
        self.discriminators = [
            Network(model, optimizer, own.discriminator, *aids)
            for model, optimizer in zip(
                state.discriminators, state.discriminator_optimizers, strict=True
            )
        ]
        scale = state.loss_scale.scale.value if state.loss_scale else None
        self.objectives = [
            Objective(config, self.generator, each, scale) for each in self.discriminators
        ]

    def take_rollbacks(self) -> None:
        """Take the state's rollbacks: other noise, and half the learning rates for each.

        All ranks must call it after the same step, when the state has gone back to a checkpoint.
        """
        self._backoff.assign(0.5**self._state.rollbacks)
        self.discarded.assign(self._state.discarded)
