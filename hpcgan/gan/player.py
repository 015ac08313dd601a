"""One of the two players: a network, its optimizer, and its variables as plain tensors.

In an update a network is a pure function of weights, moving statistics, a key and its inputs:
nothing is assigned until the averages over all shards are there.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from hpcgan.config import Config, OptimizerConfig
from hpcgan.gan import noise
from hpcgan.gan.schedule import ema_decay, learning_rate

Tensors = list[tf.Tensor]


class Player:
    """A network that learns."""

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        own: OptimizerConfig,
        config: Config,
        backoff: tf.Variable,
        average: keras.Model | None = None,
    ) -> None:
        """Prepare the player.

        Args:
            model: the network.
            optimizer: built for its weights.
            own: the optimizer's configuration.
            config: the run's, with ``data.shards`` resolved to a number.
            backoff: factor of the learning rate, a scalar float32.
            average: the moving average of the network, if there is one.
        """
        self._model = model
        self._optimizer = optimizer
        self._own = own
        self._config = config
        self._backoff = backoff
        self._average = average
        self._other = model.non_trainable_variables
        self._is_seed = [noise.is_seed(v) for v in self._other]
        self.weights: list[keras.Variable] = model.trainable_variables
        self.statistics: list[keras.Variable] = [
            v for v, seed in zip(self._other, self._is_seed, strict=True) if not seed
        ]

    @property
    def takes_labels(self) -> bool:
        """Whether the network has labels for its second input."""
        return len(self._model.inputs) == 2

    def values(self) -> Tensors:
        """Return the weights as tensors, which a tape can watch."""
        return [tf.convert_to_tensor(v) for v in self.weights]

    def play(
        self, weights: Tensors, key: tf.Tensor, inputs: tf.Tensor, labels: tf.Tensor | None = None
    ) -> tuple[Tensors, Tensors]:
        """Return the network's outputs in training and its new moving statistics.

        Every random layer draws from its own key; nothing is assigned.
        """
        keys = iter(tf.unstack(tf.random.split(key, max(1, sum(self._is_seed)))))
        other = [
            noise.dropout_seed(next(keys), v.value) if seed else tf.convert_to_tensor(v)
            for v, seed in zip(self._other, self._is_seed, strict=True)
        ]
        given = [inputs, labels] if self.takes_labels else inputs
        outputs, new = self._model.stateless_call(weights, other, given, training=True)
        statistics = [v for v, seed in zip(new, self._is_seed, strict=True) if not seed]
        return tf.nest.flatten(outputs), statistics

    def learn(self, gradients: Tensors, statistics: Tensors, step: tf.Tensor) -> None:
        """Apply the averaged gradients, take the averaged statistics, and move the average."""
        if self._own.clip_norm is not None:
            gradients, _ = tf.clip_by_global_norm(gradients, self._own.clip_norm)
        self._optimizer.learning_rate.assign(self._rate(step))
        self._optimizer.apply(gradients, self.weights)
        for variable, value in zip(self.statistics, statistics, strict=True):
            variable.assign(value)
        if self._average is not None:
            self._follow(self._average, step)

    def _follow(self, average: keras.Model, step: tf.Tensor) -> None:
        """Move the average towards the network, with its moving statistics."""
        ema = self._config.train.ema
        assert ema is not None
        decay = ema_decay(step, ema)
        for mean, value in zip(average.variables, self._model.variables, strict=True):
            if not noise.is_seed(value):
                mean.assign_add((1 - decay) * (value - mean))

    def _rate(self, step: tf.Tensor) -> tf.Tensor:
        """Return the learning rate of the update after ``step`` others."""
        both, shards = self._config.optimizer, self._config.data.shards
        assert shards is not None
        rate = learning_rate(
            step,
            self._own.learning_rate,
            shards,
            both.scaling,
            both.warmup_steps,
            both.decay,
            self._config.train.steps,
        )
        return rate * self._backoff
