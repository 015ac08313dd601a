"""The networks of a run as its training step uses them."""

from __future__ import annotations

import tensorflow as tf

from hpcgan import varied
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
        # Each is in the compiled step if it is in use now, by the configuration or since then.
        self._values = {key: _variable() for key in varied.in_use(config) | state.values}
        self.stop = _variable()
        self.discarded = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._backoff = _variable()
        self.refresh(config)
        own = (self._values, self._backoff)
        self.generator = Network(
            state.generator, state.generator_optimizer, config, "generator", *own, state.average
        )
        self.discriminators = [
            Network(model, optimizer, config, "discriminator", *own)
            for model, optimizer in zip(
                state.discriminators, state.discriminator_optimizers, strict=True
            )
        ]
        scale = state.loss_scale.scale.value if state.loss_scale else None
        self.objectives = [
            Objective(config, self.generator, each, scale, self._values)
            for each in self.discriminators
        ]

    def refresh(self, config: Config) -> None:
        """Take what is not in the state's variables: its rollbacks, and numbers that may change.

        For each rollback there is other noise, and half the learning rates. All ranks must call it
        after the same step, when they go on from another state, or by other numbers.

        Args:
            config: like the one of the beginning but for values of ``varied.VARIABLE``; where it
                has none of a penalty that was in use then, that is 0.
        """
        self._backoff.assign(0.5**self._state.rollbacks)
        self.discarded.assign(self._state.discarded)
        now = {**varied.in_use(config), **self._state.values}
        for key, variable in self._values.items():
            variable.assign(now.get(key, 0.0))


def _variable() -> tf.Variable:
    return tf.Variable(0.0, trainable=False)
