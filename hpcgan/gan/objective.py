"""The losses of a batch of real samples, and their gradients for both networks.

A batch is that of one shard or of several, one after the other. All results are sums over its
shards, each of which is a mean over the shard's samples: so with n shards, n times a mean over all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from hpcgan.config import Config
from hpcgan.gan import noise, penalties
from hpcgan.gan.augment import augment
from hpcgan.gan.losses import auxiliary_classes, auxiliary_regression, make_loss
from hpcgan.gan.network import Network, Tensors, Version


class Batch(NamedTuple):
    """The batches of some shards, or a part of each of them.

    Attributes:
        keys: of the shards, (shards, 2) each.
        per_shard: the samples of each shard.
        real: (shards * per_shard, *sample_shape) in [-1, 1]; None where only G is trained.
        labels: (shards * per_shard,), (shards * per_shard, K) or None.
    """

    keys: noise.Keys
    per_shard: int
    real: tf.Tensor | None
    labels: tf.Tensor | None

    @property
    def shards(self) -> int:
        """The number of shards."""
        return self.keys.latents.shape[0]


class Fake(NamedTuple):
    """Generated samples, one for each real sample of a batch.

    Attributes:
        samples: (shards * per_shard, *sample_shape).
        labels: for which they were made, or None.
    """

    samples: tf.Tensor
    labels: tf.Tensor | None


@dataclass(frozen=True)
class Gradients:
    """What a network is updated by: sums over the shards of a batch.

    Attributes:
        weights: gradients of its weights.
        statistics: its new moving statistics.
        loss: its loss.
    """

    weights: Tensors
    statistics: Tensors
    loss: tf.Tensor


class Objective:
    """The losses that a configuration asks for, of two networks."""

    def __init__(
        self,
        config: Config,
        generator: Network,
        discriminator: Network,
        scale: tf.Variable | None,
        values: Mapping[str, tf.Variable],
    ) -> None:
        """Prepare the objective.

        Args:
            config: of the run.
            generator: G.
            discriminator: D.
            scale: factor of the losses whose gradients are taken, for half precision; None for 1.
            values: numbers that may change while the run goes on, by key (``varied.in_use``);
                a penalty without one is left out.
        """
        self._g = generator
        self._d = discriminator
        self._loss = make_loss(config.loss.name, values.get("loss.label_smoothing"))
        self._penalty, self._r1 = values.get("loss.gradient_penalty"), values.get("loss.r1")
        self._auxiliary = config.loss.auxiliary
        self._condition = config.model.condition
        self._latent_dim = config.model.latent_dim
        self._augment: Sequence[str] = config.train.augment
        self._scale = scale

    def joint(self, batch: Batch) -> tuple[Gradients, Gradients]:
        """Return the gradients of D and G, from one forward pass."""
        d, g = self._d.version(), self._g.version()
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch([d.weights, g.weights])
            fake, g_statistics = self._generate(g, batch)
            d_loss, fake_outputs, d_statistics = self._discriminate(d, batch, fake)
            g_loss = self._generator_loss(fake_outputs, batch)
            d_sum, g_sum = self._sum(d_loss, batch), self._sum(g_loss, batch)
        return (
            self._gradients(batch, tape.gradient(d_sum, d.weights), d_statistics, d_loss),
            self._gradients(batch, tape.gradient(g_sum, g.weights), g_statistics, g_loss),
        )

    def fake(self, batch: Batch, generator: Version | None = None) -> Fake:
        """Return samples of G as it is, or of another version of it."""
        return self._generate(generator or self._g.version(), batch)[0]

    def discriminator(self, batch: Batch, fake: Fake) -> Gradients:
        """Return the gradients of D, against generated samples."""
        version = self._d.version()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(version.weights)
            loss, _, statistics = self._discriminate(version, batch, fake)
            total = self._sum(loss, batch)
        return self._gradients(batch, tape.gradient(total, version.weights), statistics, loss)

    def generator(
        self, batch: Batch, discriminator: Version | None = None
    ) -> tuple[Gradients, Fake]:
        """Return the gradients of G and the samples that they come from; no real one is used.

        They are judged by D as it is, or by another version of it.
        """
        judge, version = discriminator or self._d.version(), self._g.version()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(version.weights)
            fake, statistics = self._generate(version, batch)
            outputs, _ = self._discriminate_fake(judge, batch, fake)
            loss = self._generator_loss(outputs, batch)
            total = self._sum(loss, batch)
        found = self._gradients(batch, tape.gradient(total, version.weights), statistics, loss)
        return found, fake

    def _generate(self, version: Version, batch: Batch) -> tuple[Fake, Tensors]:
        """Return a generated sample for each real one, and G's new statistics."""
        latents = noise.latents(batch.keys.latents, batch.per_shard, self._latent_dim)
        (samples,), statistics = self._g.forward(
            version, batch.keys.generator, latents, batch.labels
        )
        return Fake(samples, batch.labels), statistics

    def _discriminate(
        self, version: Version, batch: Batch, fake: Fake
    ) -> tuple[tf.Tensor, Tensors, Tensors]:
        """Return D's loss, its outputs for generated samples, and its new statistics."""
        real = self._augmented(batch.real, batch.keys.augment_real)
        outputs, statistics = self._d.forward(version, batch.keys.real, real, batch.labels)
        fake_outputs, shown = self._discriminate_fake(version, batch, fake)
        loss = self._loss.discriminator(outputs[0], fake_outputs[0])
        loss += self._label_loss(outputs, batch)
        loss += self._penalties(version, batch, real, shown)
        return loss, fake_outputs, statistics

    def _discriminate_fake(
        self, version: Version, batch: Batch, fake: Fake
    ) -> tuple[Tensors, tf.Tensor]:
        """Return D's outputs for generated samples, and the samples as it saw them."""
        shown = self._augmented(fake.samples, batch.keys.augment_fake)
        return self._d.forward(version, batch.keys.fake, shown, fake.labels)[0], shown

    def _generator_loss(self, outputs: Tensors, batch: Batch) -> tf.Tensor:
        """Return G's loss, given D's outputs for its samples."""
        return self._loss.generator(outputs[0]) + self._label_loss(outputs, batch)

    def _label_loss(self, outputs: Tensors, batch: Batch) -> tf.Tensor:
        """Return the loss of the labels that D predicts.

        D learns them from real samples alone: what G makes at first has no label to be predicted.
        """
        if self._condition == "auxiliary":
            return self._auxiliary * auxiliary_classes(outputs[1], batch.labels)
        if self._condition == "regression":
            return self._auxiliary * auxiliary_regression(outputs[1], batch.labels)
        return tf.constant(0.0)

    def _penalties(
        self, version: Version, batch: Batch, real: tf.Tensor, fake: tf.Tensor
    ) -> tf.Tensor:
        """Return the penalties on D's gradient with respect to samples."""

        def critic(keys: tf.Tensor) -> penalties.Critic:
            return lambda samples: self._d.forward(version, keys, samples, batch.labels)[0][0]

        keys = batch.keys
        # The losses' scale is for means over a batch; the penalties' gradients are of each sample.
        scale = None if self._scale is None else self._scale / batch.per_shard
        total = tf.constant(0.0)
        if self._penalty is not None:
            fixed = tf.stop_gradient(fake)  # the penalty is D's alone
            total += self._penalty * penalties.gradient_penalty(
                critic(keys.penalised), real, fixed, keys.penalty, scale
            )
        if self._r1 is not None:
            total += self._r1 * penalties.r1(critic(keys.r1), real, scale)
        return total

    def _augmented(self, samples: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        """Return samples as D gets to see them."""
        return augment(samples, self._augment, keys) if self._augment else samples

    def _sum(self, mean: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Return the sum over shards whose gradient is taken, given the mean over all samples."""
        total = mean * batch.shards
        return total if self._scale is None else total * self._scale

    def _gradients(
        self, batch: Batch, weights: Tensors, statistics: Tensors, loss: tf.Tensor
    ) -> Gradients:
        """Return gradients with statistics and a loss, which are means, as sums over shards."""
        return Gradients(weights, [batch.shards * each for each in statistics], batch.shards * loss)
