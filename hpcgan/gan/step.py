"""One training step: local gradients, all-reduce, apply.

In a simultaneous step D and G are updated at once; in an alternating one D has some updates of its
own, and then G. Every shard has weight one in the mean (``update``), however the shards are spread
over ranks. What is computed before an update is a pure function of weights, moving statistics, keys
and batches.

With ``train.staleness: s`` each network learns from the other one as of s updates ago: D from the
batch that G made then, G by the judgement of that D. With several discriminators each has its own
shards (``judges``), and G learns from the mean over all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from hpcgan.config import Config
from hpcgan.gan import noise_scale
from hpcgan.gan.batches import Batches
from hpcgan.gan.models.normalisation import synchronised
from hpcgan.gan.models.together import shards_together
from hpcgan.gan.network import Network, Version
from hpcgan.gan.networks import Networks
from hpcgan.gan.objective import Batch, Objective
from hpcgan.gan.state import State
from hpcgan.gan.update import Sums, Update
from hpcgan.gan.versions import Rows


class Given(NamedTuple):
    """What the shards of a rank are given for a step.

    Attributes:
        samples: (shards, batch, *sample_shape), uint8 or float32.
        labels: (shards, batch), (shards, batch, K) or None.
        older_labels: those of the step to which D looks back.
    """

    samples: tf.Tensor
    labels: tf.Tensor | None
    older_labels: tf.Tensor | None


@dataclass(frozen=True)
class Judge:
    """A discriminator, with those of its shards that this rank hosts.

    Attributes:
        network: D.
        objective: the losses of G and this D.
        shards: places of its shards among those of the rank.
        batches: of these shards.
        update: of D alone.
        versions: older ones, if training looks back.
    """

    network: Network
    objective: Objective
    shards: slice
    batches: Batches
    update: Update
    versions: Rows | None


class TrainingStep:
    """The training step of one rank and its shards, as part of a compiled function.

    Attributes:
        networks: that it trains.
        together: shards of this rank that go through the networks in one batch.
    """

    def __init__(
        self,
        config: Config,
        state: State,
        hosted: range,
        sums: Sums,
        own_sums: Sums | None = None,
    ) -> None:
        """Prepare the step.

        Args:
            config: with ``data.shards`` resolved to a number.
            state: the networks and optimizers, which a step changes.
            hosted: the shards of this rank.
            sums: over all ranks.
            own_sums: over the ranks that share the discriminator of this one; None where all do.
        """
        train, shards = config.train, config.data.shards
        assert shards is not None
        self._state = state
        self._staleness = config.staleness
        self._d_updates = train.discriminator_steps
        self.networks = Networks(config, state)
        for layer in synchronised(state.generator):
            layer.all_reduce = sums.all_reduce
        per_pass = train.batch_size // train.accumulate
        parts, each = shards * train.accumulate, shards // train.discriminators
        is_measured = noise_scale.is_measured(config, state.generator)
        self._judges: list[Judge] = []
        for number, network in enumerate(self.networks.discriminators):
            own = range(max(hosted.start, number * each), min(hosted.stop, (number + 1) * each))
            if train.discriminators == 1:
                own = hosted  # wherever they are among all: a rank alone may count its own only
            if not own:
                continue
            models = (state.generator, state.discriminators[number])
            self.together = shards_together(models, len(own), per_pass)
            self._judges.append(
                Judge(
                    network,
                    self.networks.objectives[number],
                    slice(own.start - hosted.start, own.stop - hosted.start),
                    Batches(config, own, self.together, is_measured),
                    Update(
                        [network],
                        each * train.accumulate,
                        own_sums or sums,
                        state.loss_scale,
                        is_measured,
                    ),
                    state.discriminator_versions[number],
                )
            )
        generator, scale = self.networks.generator, state.loss_scale
        self._generator_update = Update([generator], parts, sums, scale, is_measured)
        # One discriminator of all ranks: its gradients and G's can travel together.
        self._joint: Update | None = None
        if own_sums is None and len(self._judges) == 1:
            both = [self._judges[0].network, generator]
            self._joint = Update(both, parts, sums, scale, is_measured)

    def refresh(self, config: Config) -> None:
        """Take what has changed, as ``Networks.refresh``, and the seed."""
        self.networks.refresh(config)
        for judge in self._judges:
            judge.batches.refresh(config.seed)

    def simultaneous(self, given: Given, step: tf.Tensor) -> tf.Tensor:
        """Update all networks at once, with one all-reduce where they have the same ranks.

        Args:
            given: with one batch of each shard.
            step: updates made before, scalar int64.

        Returns:
            (8,): the mean losses of D and G; two notes, not 0 where a rank wants to stop and where
            an update was left out, since its numbers were not finite; the squares of gradients
            (``Update.apply``), two of D and two of G. With several discriminators those of D are
            means of those of this rank, and so is the second note.
        """
        older_g = self._older_generator(step)
        found = []
        for judge in self._judges:
            older_d = self._older_discriminator(judge, step)

            def gradients(
                batches: Batches,
                measured: tf.Tensor | bool,
                judge: Judge = judge,
                older_d: Version | None = older_d,
            ) -> list[tf.Tensor]:
                batch = self._batches(batches, judge, given, step, 0)
                before = batch
                if self._staleness:
                    before = self._older_batches(batches, judge, given, step, 0)
                updates = [self._joint] if self._joint else [judge.update, self._generator_update]

                def local(index: tf.Tensor | int) -> list[tf.Tensor]:
                    objective, own = judge.objective, batch(index)
                    if self._staleness:
                        fake = objective.fake(before(index), older_g)
                        d = objective.discriminator(own, fake)
                        g, _ = objective.generator(own, older_d)
                    else:
                        d, g = objective.joint(own)
                    if self._joint:
                        return [self._joint.join([d, g], self.networks.stop, measured)]
                    return [
                        judge.update.join([d], self.networks.stop, measured),
                        self._generator_update.join([g], self.networks.stop, measured),
                    ]

                return batches.sums([each.length for each in updates], local)

            found.append(noise_scale.in_passes(judge.batches, step, gradients))
        if self._joint:
            return self._joint.apply(found[0][0], step)
        rows = [
            judge.update.apply(total, step)
            for judge, (total, _) in zip(self._judges, found, strict=True)
        ]
        return self._report([rows], [total for _, total in found], step)

    def alternating(self, given: Given, step: tf.Tensor) -> tf.Tensor:
        """Update D ``discriminator_steps`` times, each on its own batch, and then G.

        Each update makes an all-reduce. The arguments and what is returned are those of
        ``simultaneous``, with ``discriminator_steps`` times the samples of a batch.
        """
        older_g = self._older_generator(step)
        rows = []
        for number in range(self._d_updates):
            rows.append(
                [self._teach(judge, given, step, number, older_g) for judge in self._judges]
            )
        totals = []
        for judge in self._judges:
            # What D is judged by is counted with the updates that it has just had.
            older_d = self._older_discriminator(judge, step + 1)

            def gradients(
                batches: Batches,
                measured: tf.Tensor | bool,
                judge: Judge = judge,
                older_d: Version | None = older_d,
            ) -> list[tf.Tensor]:
                batch = self._batches(batches, judge, given, step, self._d_updates)

                def local(index: tf.Tensor | int) -> list[tf.Tensor]:
                    found, _ = judge.objective.generator(batch(index), older_d)
                    return [self._generator_update.join([found], self.networks.stop, measured)]

                return batches.sums([self._generator_update.length], local)

            totals += noise_scale.in_passes(judge.batches, step, gradients)
        return self._report(rows, totals, step)

    def _teach(
        self, judge: Judge, given: Given, step: tf.Tensor, number: int, older_g: Version | None
    ) -> tf.Tensor:
        """Update a D by batch ``number`` of the step; return what ``Update.apply`` does."""

        def gradients(batches: Batches, measured: tf.Tensor | bool) -> list[tf.Tensor]:
            batch = self._batches(batches, judge, given, step, number)
            before = None
            if self._staleness:
                before = self._older_batches(batches, judge, given, step, number)

            def local(index: tf.Tensor | int) -> list[tf.Tensor]:
                own = batch(index)
                fake = judge.objective.fake(before(index) if before else own, older_g)
                found = judge.objective.discriminator(own, fake)
                return [judge.update.join([found], self.networks.stop, measured)]

            return batches.sums([judge.update.length], local)

        (total,) = noise_scale.in_passes(judge.batches, step, gradients)
        return judge.update.apply(total, step)

    def _report(
        self, rows: Sequence[Sequence[tf.Tensor]], totals: list[tf.Tensor], step: tf.Tensor
    ) -> tf.Tensor:
        """Update G; return the losses, the notes and the squares of the step.

        Args:
            rows: of each update of D, in each of them what each D's ``Update.apply`` returned.
            totals: of G's gradients.
            step: updates made before.
        """
        row = self._generator_update.apply(tf.add_n(totals), step)
        means = [tf.reduce_mean(tf.stack(each), 0) for each in rows]
        notes = tf.add_n([each[1:3] for each in means]) + row[1:3]
        return tf.concat([means[-1][:1], row[:1], notes, means[-1][3:], row[3:]], 0)

    def _older_generator(self, step: tf.Tensor) -> Version | None:
        """Return the G that D looks back at, and keep the present one; None without staleness."""
        rows, network = self._state.generator_versions, self.networks.generator
        return network.unpacked(rows.turn(step, network.packed())) if rows else None

    def _older_discriminator(self, judge: Judge, updates: tf.Tensor) -> Version | None:
        """Return the D by which G is judged, and keep the present one, as of some updates."""
        rows, network = judge.versions, judge.network
        return network.unpacked(rows.turn(updates, network.packed())) if rows else None

    def _batches(
        self, batches: Batches, judge: Judge, given: Given, step: tf.Tensor, number: int
    ) -> Callable[[tf.Tensor | int], Batch]:
        """Return what gives the batches of an update: D's ``number``, or G's after those."""
        labels = None if given.labels is None else given.labels[judge.shards]
        drawn = step + self.networks.discarded
        return batches(given.samples[judge.shards], labels, drawn, number)

    def _older_batches(
        self, batches: Batches, judge: Judge, given: Given, step: tf.Tensor, number: int
    ) -> Callable[[tf.Tensor | int], Batch]:
        """Return what gives the batches that G made at the step to which D looks back."""
        labels = None if given.older_labels is None else given.older_labels[judge.shards]
        then = tf.maximum(step - self._staleness, 0) + self.networks.discarded
        return batches(None, labels, then, number)
