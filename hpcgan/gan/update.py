"""One compiled update of G and D.

What an update computes is a pure function of weights, moving statistics, keys and batches:
``_Game`` plays one shard's batch through both networks and returns a vector of all that has to
be averaged (gradients, moving statistics, losses). ``Update`` adds the vectors of the hosted
shards, hands the sum to the exchange, which adds those of the other ranks, and divides by the
number of shards in all. So the average is over shards, each with weight one, however they are
spread over ranks; and everything of an update travels in one flat all-reduce.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import keras
import tensorflow as tf

from hpcgan.config import Config
from hpcgan.gan import noise
from hpcgan.gan.losses import LOSSES, Loss
from hpcgan.gan.state import State

Exchange = Callable[[tf.Tensor], tf.Tensor]
Tensors = list[tf.Tensor]

# A loop in the graph costs 5% of an update; a copy for each shard costs seconds of tracing.
_UNROLLED = 4

_KEYS = 4  # latents, dropout of G, of D on real samples, of D on generated ones


class _Player:
    """One network, its optimizer, and its variables as plain tensors."""

    def __init__(self, model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
        self._model = model
        self._optimizer = optimizer
        self._trainable = model.trainable_variables
        self._other = model.non_trainable_variables
        self._is_seed = [v.path.endswith("seed_generator_state") for v in self._other]
        self.statistics = [
            v for v, seed in zip(self._other, self._is_seed, strict=True) if not seed
        ]

    @property
    def weights(self) -> list[keras.Variable]:
        return self._trainable

    def values(self) -> Tensors:
        """Return the weights as tensors, which a tape can watch."""
        return [tf.convert_to_tensor(v) for v in self._trainable]

    def play(
        self, weights: Tensors, key: tf.Tensor, inputs: tf.Tensor
    ) -> tuple[tf.Tensor, Tensors]:
        """Return the network's outputs in training and its new moving statistics.

        Every random layer draws from its own key; nothing is assigned.
        """
        keys = iter(tf.unstack(tf.random.split(key, max(1, sum(self._is_seed)))))
        other = [
            noise.dropout_seed(next(keys), v.value) if seed else tf.convert_to_tensor(v)
            for v, seed in zip(self._other, self._is_seed, strict=True)
        ]
        outputs, new = self._model.stateless_call(weights, other, inputs, training=True)
        return outputs, [v for v, seed in zip(new, self._is_seed, strict=True) if not seed]

    def learn(self, gradients: Tensors, statistics: Tensors) -> None:
        """Apply the averaged gradients and take the averaged moving statistics."""
        self._optimizer.apply(gradients, self._trainable)
        for variable, value in zip(self.statistics, statistics, strict=True):
            variable.assign(value)


class _Vector:
    """Several tensors as one flat float32 vector and back, for the exchange."""

    def __init__(self, shapes: list[tuple[int, ...]]) -> None:
        self._shapes = shapes
        self._sizes = [math.prod(shape) for shape in shapes]
        self.length = sum(self._sizes)

    @staticmethod
    def join(tensors: Tensors) -> tf.Tensor:
        return tf.concat([tf.reshape(tf.cast(t, tf.float32), [-1]) for t in tensors], 0)

    def split(self, vector: tf.Tensor) -> Tensors:
        parts = tf.split(vector, self._sizes)
        return [tf.reshape(p, s) for p, s in zip(parts, self._shapes, strict=True)]


class Update:
    """The update of one rank's hosted shards, compiled for any number of steps a call."""

    def __init__(
        self, config: Config, state: State, dtype: str, shards: range, exchange: Exchange
    ) -> None:
        """Prepare the update.

        Args:
            config: with ``data.shards`` resolved to a number.
            state: the networks and optimizers, which ``run`` changes.
            dtype: of the samples, "uint8" or "float32".
            shards: those that this rank hosts.
            exchange: the sum over all ranks of a flat float32 vector.
        """
        assert config.data.shards is not None
        self._shards = config.data.shards
        self._exchange = exchange
        self._loss: Loss = LOSSES[config.loss.name]
        self._latent_dim = config.model.latent_dim
        self._batch = config.train.batch_size
        self._rounds = config.train.discriminator_steps
        self._keys = noise.shard_keys(config.seed, shards)
        self._generator = _Player(state.generator, state.generator_optimizer)
        self._discriminator = _Player(state.discriminator, state.discriminator_optimizer)
        self._step = {"simultaneous": self._simultaneous, "alternating": self._alternating}[
            config.train.update
        ]
        per_step = self._batch * self._rounds
        sample_shape = state.discriminator.input_shape[1:]
        samples = tf.TensorSpec((None, len(shards), per_step, *sample_shape), dtype)
        self.run = tf.function(self._run, input_signature=(samples, tf.TensorSpec((), tf.int64)))

    def _run(self, samples: tf.Tensor, first_step: tf.Tensor) -> tf.Tensor:
        """Make one update for each step of ``samples``.

        All ranks must call it for the same steps, in any division into calls: each step
        exchanges as often on every rank.

        Args:
            samples: (steps, hosted shards, samples a step, *sample_shape), uint8 or float32.
            first_step: scalar int64, number of updates made before.

        Returns:
            The losses of D and G, (steps, 2), means over all shards.
        """
        steps = tf.shape(samples)[0]
        losses = tf.TensorArray(tf.float32, size=steps, element_shape=(2,))
        for i in tf.range(steps):
            step = first_step + tf.cast(i, tf.int64)
            losses = losses.write(i, self._step(samples[i], step))
        return losses.stack()

    def _simultaneous(self, samples: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Both gradients from one forward pass, averaged in one exchange."""
        g, d = self._generator, self._discriminator
        g_weights, d_weights = g.values(), d.values()

        def play(shard: tf.Tensor) -> Tensors:
            z_key, *keys = noise.step_keys(self._keys[shard], step, _KEYS)
            latents = noise.latents(z_key, self._batch, self._latent_dim)
            with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
                tape.watch([g_weights, d_weights])
                fake, g_statistics = g.play(g_weights, keys[0], latents)
                real_logits, d_statistics = d.play(d_weights, keys[1], _scaled(samples[shard]))
                fake_logits, _ = d.play(d_weights, keys[2], fake)
                d_loss = self._loss.discriminator(real_logits, fake_logits)
                g_loss = self._loss.generator(fake_logits)
            d_gradients = tape.gradient(d_loss, d_weights)
            g_gradients = tape.gradient(g_loss, g_weights)
            return [*d_gradients, *d_statistics, *g_gradients, *g_statistics, d_loss, g_loss]

        averaged = self._average(play, [*_learnt(d), *_learnt(g), (), ()])
        d_end = len(_learnt(d))
        _learn(d, averaged[:d_end])
        _learn(g, averaged[d_end:-2])
        return tf.stack(averaged[-2:])

    def _alternating(self, samples: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """``discriminator_steps`` updates of D, then one of G; an exchange for each."""
        d_loss = tf.constant(0.0)
        for number in range(self._rounds):
            of_round = slice(number * self._batch, (number + 1) * self._batch)
            d_loss = self._update_discriminator(samples[:, of_round], step, number)
        return tf.stack([d_loss, self._update_generator(step)])

    def _update_discriminator(self, real: tf.Tensor, step: tf.Tensor, number: int) -> tf.Tensor:
        """One update of D on (hosted shards, batch, ...) samples; returns its loss."""
        g, d = self._generator, self._discriminator
        g_weights, d_weights = g.values(), d.values()

        def play(shard: tf.Tensor) -> Tensors:
            key = noise.step_keys(self._keys[shard], step, self._rounds + 1)[number]
            z_key, *keys = noise.step_keys(key, step, _KEYS)
            latents = noise.latents(z_key, self._batch, self._latent_dim)
            fake, _ = g.play(g_weights, keys[0], latents)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(d_weights)
                real_logits, statistics = d.play(d_weights, keys[1], _scaled(real[shard]))
                fake_logits, _ = d.play(d_weights, keys[2], fake)
                loss = self._loss.discriminator(real_logits, fake_logits)
            return [*tape.gradient(loss, d_weights), *statistics, loss]

        averaged = self._average(play, [*_learnt(d), ()])
        _learn(d, averaged[:-1])
        return averaged[-1]

    def _update_generator(self, step: tf.Tensor) -> tf.Tensor:
        """One update of G; returns its loss."""
        g, d = self._generator, self._discriminator
        g_weights, d_weights = g.values(), d.values()

        def play(shard: tf.Tensor) -> Tensors:
            key = noise.step_keys(self._keys[shard], step, self._rounds + 1)[self._rounds]
            z_key, *keys = noise.step_keys(key, step, _KEYS)
            latents = noise.latents(z_key, self._batch, self._latent_dim)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(g_weights)
                fake, statistics = g.play(g_weights, keys[0], latents)
                fake_logits, _ = d.play(d_weights, keys[2], fake)
                loss = self._loss.generator(fake_logits)
            return [*tape.gradient(loss, g_weights), *statistics, loss]

        averaged = self._average(play, [*_learnt(g), ()])
        _learn(g, averaged[:-1])
        return averaged[-1]

    def _average(
        self, play: Callable[[tf.Tensor], Tensors], shapes: list[tuple[int, ...]]
    ) -> Tensors:
        """Return the mean over all shards, on all ranks, of what ``play`` gives for a shard."""
        vector = _Vector(shapes)
        total = tf.zeros([vector.length])
        hosted = self._keys.shape[0]
        for shard in range(hosted) if hosted <= _UNROLLED else tf.range(hosted):
            total += vector.join(play(shard))
        return vector.split(self._exchange(total) / float(self._shards))


def _scaled(samples: tf.Tensor) -> tf.Tensor:
    """Return uint8 samples as float32 in [-1, 1]; float32 ones as they are."""
    if samples.dtype == tf.uint8:
        return tf.cast(samples, tf.float32) / 127.5 - 1.0
    return samples


def _learnt(player: _Player) -> list[tuple[int, ...]]:
    """Return the shapes of what ``_learn`` takes."""
    return [tuple(v.shape) for v in [*player.weights, *player.statistics]]


def _learn(player: _Player, averaged: Tensors) -> None:
    """Give a player its averaged gradients and statistics, joined in one list."""
    gradients = averaged[: len(player.weights)]
    player.learn(gradients, averaged[len(player.weights) :])
