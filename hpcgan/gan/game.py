"""What a batch of real samples does to both networks: losses and their gradients.

A group is what goes through the generator at once: one shard's batch, or, with synchronised
normalisation, those of all hosted shards. The discriminator plays against one shard at a time. All
results are sums over the group's shards, each of which is a mean over its batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from hpcgan.config import Config
from hpcgan.gan import noise, penalties
from hpcgan.gan.augment import augment
from hpcgan.gan.losses import auxiliary_classes, auxiliary_regression, make_loss
from hpcgan.gan.player import Player, Tensors


class Batch(NamedTuple):
    """A shard's batch, or a part of it: (batch, *sample_shape) in [-1, 1], (batch,) or None."""

    keys: noise.Keys
    real: tf.Tensor
    labels: tf.Tensor | None


@dataclass(frozen=True)
class Outcome:
    """What a group has to say.

    Attributes:
        gradients: of the weights of the players that learn, one player after the other.
        statistics: their new moving statistics.
        losses: one of each player that learns.
    """

    gradients: Tensors
    statistics: Tensors
    losses: Tensors


class Game:
    """The losses of a configuration, played by two networks."""

    def __init__(
        self, config: Config, generator: Player, discriminator: Player, scale: tf.Variable | None
    ) -> None:
        """Prepare the game.

        Args:
            config: of the run.
            generator: G.
            discriminator: D.
            scale: factor of the losses whose gradients are taken, for half precision; None for 1.
        """
        loss = config.loss
        self._g = generator
        self._d = discriminator
        self._loss = make_loss(loss)
        self._penalty = loss.gradient_penalty
        if self._penalty is None:
            self._penalty = 10.0 if loss.name == "wasserstein" else 0.0
        self._r1 = loss.r1
        self._auxiliary = loss.auxiliary
        self._condition = config.model.condition
        self._latent_dim = config.model.latent_dim
        self._augment: Sequence[str] = config.train.augment
        self._scale = scale

    def both(self, group: list[Batch]) -> Outcome:
        """Return both players' gradients, from one forward pass."""
        d_weights, g_weights = self._d.values(), self._g.values()
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch([d_weights, g_weights])
            fakes, g_statistics = self._generate(g_weights, group)
            d_loss, g_loss, d_statistics = self._judge(d_weights, group, fakes)
            scaled = self._scaled(d_loss), self._scaled(g_loss)
        gradients = [*tape.gradient(scaled[0], d_weights), *tape.gradient(scaled[1], g_weights)]
        return Outcome(gradients, [*d_statistics, *g_statistics], [d_loss, g_loss])

    def teach_discriminator(self, group: list[Batch]) -> Outcome:
        """Return D's gradients, against samples of G as it is."""
        weights = self._d.values()
        fakes, _ = self._generate(self._g.values(), group)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            loss, _, statistics = self._judge(weights, group, fakes)
            scaled = self._scaled(loss)
        return Outcome(tape.gradient(scaled, weights), statistics, [loss])

    def teach_generator(self, group: list[Batch]) -> Outcome:
        """Return G's gradients, against D as it is; no real sample is used."""
        d_weights, weights = self._d.values(), self._g.values()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            fakes, statistics = self._generate(weights, group)
            loss = tf.add_n(
                [
                    self._generator_loss(self._judge_fake(d_weights, batch, fake)[0], batch)
                    for batch, fake in zip(group, fakes, strict=True)
                ]
            )
            scaled = self._scaled(loss)
        return Outcome(tape.gradient(scaled, weights), statistics, [loss])

    def _generate(self, weights: Tensors, group: list[Batch]) -> tuple[Tensors, Tensors]:
        """Return generated samples for each batch of the group, and G's statistics."""
        sizes = [batch.real.shape[0] for batch in group]
        latents = tf.concat(
            [
                noise.latents(batch.keys.latents, size, self._latent_dim)
                for batch, size in zip(group, sizes, strict=True)
            ],
            0,
        )
        labels = None
        if self._g.takes_labels:
            labels = tf.concat([batch.labels for batch in group], 0)
        # A generator with random layers plays for one shard at a time (own.py).
        (samples,), statistics = self._g.play(weights, group[0].keys.generator, latents, labels)
        if len(group) == 1:
            return [samples], statistics
        # What the shards of the group share counts for each of them.
        return tf.split(samples, sizes), [len(group) * s for s in statistics]

    def _judge(
        self, weights: Tensors, group: list[Batch], fakes: Tensors
    ) -> tuple[tf.Tensor, tf.Tensor, Tensors]:
        """Return the losses of D and G, and D's statistics."""
        d_losses, g_losses, all_statistics = [], [], []
        for batch, fake in zip(group, fakes, strict=True):
            real = self._augmented(batch.real, batch.keys.augment_real)
            outputs, statistics = self._d.play(weights, batch.keys.real, real, batch.labels)
            fake_outputs, shown = self._judge_fake(weights, batch, fake)
            d_loss = self._loss.discriminator(outputs[0], fake_outputs[0])
            d_loss += self._guesses(outputs, batch)
            d_losses.append(d_loss + self._penalties(weights, batch, real, shown))
            g_losses.append(self._generator_loss(fake_outputs, batch))
            all_statistics.append(statistics)
        sums = [tf.add_n(each) for each in zip(*all_statistics, strict=True)]
        return tf.add_n(d_losses), tf.add_n(g_losses), sums

    def _judge_fake(
        self, weights: Tensors, batch: Batch, fake: tf.Tensor
    ) -> tuple[Tensors, tf.Tensor]:
        """Return D's outputs for generated samples, and the samples as it saw them."""
        shown = self._augmented(fake, batch.keys.augment_fake)
        return self._d.play(weights, batch.keys.fake, shown, batch.labels)[0], shown

    def _generator_loss(self, outputs: Tensors, batch: Batch) -> tf.Tensor:
        """Return G's loss, given D's outputs for its samples."""
        return self._loss.generator(outputs[0]) + self._guesses(outputs, batch)

    def _guesses(self, outputs: Tensors, batch: Batch) -> tf.Tensor:
        """Return the loss of D's guesses of the labels.

        D learns them from real samples alone: what G makes at first has no label to be guessed.
        """
        if self._condition == "auxiliary":
            return self._auxiliary * auxiliary_classes(outputs[1], batch.labels)
        if self._condition == "regression":
            return self._auxiliary * auxiliary_regression(outputs[1], batch.labels)
        return tf.constant(0.0)

    def _penalties(
        self, weights: Tensors, batch: Batch, real: tf.Tensor, fake: tf.Tensor
    ) -> tf.Tensor:
        """Return the penalties on D's gradient with respect to samples."""

        def critic(key: tf.Tensor) -> penalties.Critic:
            return lambda samples: self._d.play(weights, key, samples, batch.labels)[0][0]

        keys = batch.keys
        # The losses' scale is for means over a batch; the penalties' gradients are of each sample.
        scale = None if self._scale is None else self._scale / real.shape[0]
        total = tf.constant(0.0)
        if self._penalty:
            fixed = tf.stop_gradient(fake)  # the penalty is D's alone
            total += self._penalty * penalties.gradient_penalty(
                critic(keys.penalised), real, fixed, keys.penalty, scale
            )
        if self._r1:
            total += self._r1 * penalties.r1(critic(keys.r1), real, scale)
        return total

    def _augmented(self, samples: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """Return samples as D gets to see them."""
        return augment(samples, self._augment, key) if self._augment else samples

    def _scaled(self, loss: tf.Tensor) -> tf.Tensor:
        """Return the loss whose gradient is taken."""
        return loss if self._scale is None else loss * self._scale
