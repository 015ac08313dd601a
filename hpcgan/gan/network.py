"""One of the two networks, with its optimizer and its moving average.

In a training step a network is a pure function of weights, moving statistics, keys and inputs:
nothing is assigned until the averages over all shards are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import keras
import tensorflow as tf

from hpcgan.config import Config
from hpcgan.gan import noise
from hpcgan.gan.adam import Adam
from hpcgan.gan.models.layers import Dropout, all_layers
from hpcgan.gan.models.normalisation import BatchNormalization
from hpcgan.gan.models.together import mixing_layer
from hpcgan.gan.scaling_rule import decay_power
from hpcgan.gan.schedule import ema_decay, ema_decay_of_images, learning_rate
from hpcgan.gan.vector import Vector

Tensors = list[tf.Tensor]


class Version(NamedTuple):
    """A network after some number of updates: its weights and its moving statistics."""

    weights: Tensors
    statistics: Tensors


class Network:
    """A network that is trained.

    Attributes:
        weights: what the optimizer changes.
        statistics: moving statistics of its layers, such as those of batch normalisation.
        layout: of a version as one vector.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        config: Config,
        name: str,
        values: Mapping[str, tf.Variable],
        backoff: tf.Variable,
        average: keras.Model | None = None,
    ) -> None:
        """Prepare the network.

        Args:
            model: its layers and variables.
            optimizer: built for its weights.
            config: the run's, with ``data.shards`` resolved to a number.
            name: generator or discriminator.
            values: numbers that may change while the run goes on, by key (``varied.in_use``).
            backoff: factor of the learning rate, a scalar float32.
            average: the moving average of the network, if there is one.
        """
        self._model = model
        self._optimizer = optimizer
        self._config = config
        self._learning_rate = values[f"optimizer.{name}.learning_rate"]
        self._clip_norm = values.get(f"optimizer.{name}.clip_norm")
        self._ema = values.get("train.ema")
        self._backoff = backoff
        self._average = average
        self._other = model.non_trainable_variables
        self.weights: list[keras.Variable] = model.trainable_variables
        self.statistics: list[keras.Variable] = statistics_of(model)
        self.layout = layout(model)
        layers = all_layers(model)
        self._norms = [each for each in layers if isinstance(each, BatchNormalization)]
        dropouts = (each for each in layers if isinstance(each, Dropout) and each.rate > 0)
        self._dropouts = {id(each.seed_generator.state): each for each in dropouts}
        self._mixes = mixing_layer(model) is not None

    @property
    def takes_labels(self) -> bool:
        """Whether the network has labels for its second input."""
        return len(self._model.inputs) == 2

    def version(self) -> Version:
        """Return the network as it is, as tensors, which a tape can watch."""
        weights = [tf.convert_to_tensor(v) for v in self.weights]
        return Version(weights, [tf.convert_to_tensor(v) for v in self.statistics])

    def packed(self) -> tf.Tensor:
        """Return the network as it is as one vector, (layout.length,) float32."""
        return self.layout.join([*self.version().weights, *self.version().statistics])

    def unpacked(self, vector: tf.Tensor) -> Version:
        """Return the version that ``packed`` gave."""
        tensors, count = self.layout.split(vector), len(self.weights)
        return Version(tensors[:count], tensors[count:])

    def forward(
        self,
        version: Version,
        keys: tf.Tensor,
        inputs: tf.Tensor,
        labels: tf.Tensor | None = None,
    ) -> tuple[Tensors, Tensors]:
        """Return the network's outputs in training and its new moving statistics.

        The batches of several shards go through it together: the random numbers of a shard come
        from its own key, and batch normalisation uses each shard's own statistics. The new moving
        statistics are means over these shards. Nothing is assigned.

        Args:
            version: of the network, to be used as it is given.
            keys: one for each shard, (shards, 2).
            inputs: (shards * batch, ...), one shard's batch after the other.
            labels: (shards * batch,), for a network that takes them.
        """
        if self._mixes and keys.shape[0] > 1:
            return self._one_by_one(version, keys, inputs, labels)
        for norm in self._norms:
            norm.shards = keys.shape[0]
        seeds = iter(noise.dropout_seeds(keys, len(self._other) - len(self.statistics)))
        own = iter(version.statistics)
        other = [
            self._seeded(v, next(seeds)) if noise.is_seed(v) else next(own) for v in self._other
        ]
        given = [inputs, labels] if self.takes_labels else inputs
        outputs, new = self._model.stateless_call(version.weights, other, given, training=True)
        statistics = [
            value for v, value in zip(self._other, new, strict=True) if not noise.is_seed(v)
        ]
        return tf.nest.flatten(outputs), statistics

    def _one_by_one(
        self, version: Version, keys: tf.Tensor, inputs: tf.Tensor, labels: tf.Tensor | None
    ) -> tuple[Tensors, Tensors]:
        """Return the same as ``forward``, where a layer may mix the samples of a batch.

        With synchronised normalisation in the other network all shards come together.
        """
        shards = keys.shape[0]
        of_shards = [None] * shards if labels is None else tf.split(labels, shards)
        found = [
            self.forward(version, *each)
            for each in zip(
                tf.split(keys, shards), tf.split(inputs, shards), of_shards, strict=True
            )
        ]
        outputs, statistics = (zip(*each, strict=True) for each in zip(*found, strict=True))
        return (
            [tf.concat(each, 0) for each in outputs],
            [tf.reduce_mean(tf.stack(each), 0) for each in statistics],
        )

    def _seeded(self, state: keras.Variable, seeds: tf.Tensor) -> tf.Tensor:
        """Give a random layer its seeds, (shards, 2); return what stands for its own state."""
        if id(state) in self._dropouts:
            self._dropouts[id(state)].seeds = seeds
            return state
        # A random layer of Keras' own draws for one shard at a time.
        return tf.cast(tf.reshape(seeds, state.shape), state.dtype)

    def apply_gradients(self, gradients: Tensors, statistics: Tensors, step: tf.Tensor) -> None:
        """Move the weights by averaged gradients, and take averaged statistics.

        Args:
            gradients: of each weight, in their order.
            statistics: new values of ``statistics``.
            step: updates made before, which decides the learning rate.
        """
        if self._clip_norm is not None:
            gradients, _ = tf.clip_by_global_norm(gradients, self._clip_norm)
        self._optimizer.learning_rate.assign(self._rate(step))
        self._optimizer.apply(gradients, self.weights)
        for variable, value in zip(self.statistics, statistics, strict=True):
            variable.assign(value)
        if self._average is not None:
            self._update_average(self._average, step)

    def weighed_square(self, gradients: Tensors) -> tf.Tensor:
        """Return the square of a gradient, of which each part counts as the optimizer weighs it."""
        if isinstance(self._optimizer, Adam):
            return self._optimizer.weighed_square(gradients)
        return 2 * tf.add_n([tf.nn.l2_loss(each) for each in gradients])

    def _update_average(self, average: keras.Model, step: tf.Tensor) -> None:
        """Move the average towards the network, with its moving statistics."""
        train, shards = self._config.train, self._config.data.shards
        assert shards is not None
        if train.ema_images is not None:
            images = train.batch_size * shards
            decay = ema_decay_of_images(step, images, train.ema_images, train.ema_ramp)
        else:
            assert self._ema is not None
            power = decay_power(self._config.optimizer.scaling, shards)
            decay = ema_decay(step, self._ema if power == 1 else tf.pow(self._ema, float(power)))
        for mean, value in zip(average.variables, self._model.variables, strict=True):
            if not noise.is_seed(value):
                mean.assign_add((1 - decay) * (value - mean))

    def _rate(self, step: tf.Tensor) -> tf.Tensor:
        """Return the learning rate of the update after ``step`` others."""
        both, shards = self._config.optimizer, self._config.data.shards
        assert shards is not None
        rate = learning_rate(
            step,
            self._learning_rate,
            shards,
            both.scaling,
            both.warmup_steps,
            both.decay,
            self._config.train.steps,
        )
        return rate * self._backoff


def statistics_of(model: keras.Model) -> list[keras.Variable]:
    """Return the moving statistics of a network's layers."""
    return [each for each in model.non_trainable_variables if not noise.is_seed(each)]


def layout(model: keras.Model) -> Vector:
    """Return how a version of a network is laid out as one vector: weights, then statistics."""
    variables = [*model.trainable_variables, *statistics_of(model)]
    return Vector([tuple(each.shape) for each in variables])
