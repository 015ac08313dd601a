"""The two sides of split: what a rank of G and one of D each do in a step, and hand to the other.

                        rank of G                              rank of D

    simultaneous:       learn, judged by D(t-s)                learn from the samples of G(t-s)
                        give the samples of G(t)      ---->    keep them for step t+s
                        keep D for step t+s           <----    give D(t)

    alternating:        the same; but D gives what it is after its updates, D(t+1)

    without staleness:  give the samples of G(t)      ---->    learn from them
                        learn, judged by it           <----    give D(t), or if alternating D(t+1)

Without staleness an alternating step has two hand-overs, since each side waits for the other one's;
all others have one. All ranks take part in each, even if they give or get nothing: in the
direction in which nothing has to go, a number does, since TensorFlow leaves out an operation
whose result nobody uses, and makes one of constants when it reads the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from hpcgan.config import Config
from hpcgan.gan import noise_scale
from hpcgan.gan.batches import Batches
from hpcgan.gan.models.normalisation import synchronised
from hpcgan.gan.models.together import shards_together
from hpcgan.gan.network import Version
from hpcgan.gan.networks import Networks
from hpcgan.gan.objective import Batch, Fake
from hpcgan.gan.state import State
from hpcgan.gan.step import Given
from hpcgan.gan.update import Sums, Update
from hpcgan.gan.versions import Rows
from hpcgan.parallel.loads import Loads
from hpcgan.parallel.placing import Placing

HandOver = Callable[[tf.Tensor], tf.Tensor]


class Links(NamedTuple):
    """What a rank has to talk by.

    Attributes:
        sums: over the ranks that train the same network.
        hand_over: makes, of the lengths that this rank sends to each rank and of the length that
            it receives in all, what gives a vector of the first and returns one of the second.
        sum_all: the sum over all ranks.
        arrived: returns its first argument, which comes by a hand-over, and may note how long it is
            waited for after the second is there.
    """

    sums: Sums
    hand_over: Callable[[Sequence[int], int], HandOver]
    sum_all: Callable[[tf.Tensor], tf.Tensor]
    arrived: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] = lambda vector, after: vector


class Side:
    """What both sides have.

    Attributes:
        networks: of the state.
        together: shards of this rank that go through the networks in one batch.
    """

    def __init__(
        self, config: Config, state: State, placing: Placing, rank: int, links: Links
    ) -> None:
        """Prepare the side of a rank; the arguments are those of ``Split``."""
        train, hosted = config.train, placing.hosted(rank)
        self._placing, self._rank = placing, rank
        self._staleness, self._d_updates = config.staleness, train.discriminator_steps
        self._is_simultaneous = train.update == "simultaneous"
        self.networks = Networks(config, state)
        self._g = self.networks.generator
        (self._d,), (self._objective,) = self.networks.discriminators, self.networks.objectives
        for layer in synchronised(state.generator):
            layer.all_reduce = links.sums.all_reduce
        models = (state.generator, state.discriminators[0])
        self.together = shards_together(models, len(hosted), train.batch_size // train.accumulate)
        is_measured = noise_scale.is_measured(config, state.generator)
        self._batches = Batches(config, hosted, self.together, is_measured)
        own = self._g if rank < placing.generator_ranks else self._d
        batches = placing.shards * train.accumulate
        self._update = Update([own], batches, links.sums, is_measured=is_measured)
        sample_shape = tuple(state.discriminators[0].inputs[0].shape[1:])
        self._of_shard = (self._d_updates * train.batch_size, *sample_shape)  # samples in a step
        self._arrived = links.arrived
        loads = Loads(placing, rank)
        samples = loads.samples(int(np.prod(self._of_shard)))
        parts = loads.parts(self._d.layout.length)
        if self._staleness or self._is_simultaneous:
            self._hand_over = links.hand_over(*(samples + parts))
        else:
            self._hand_over = links.hand_over(*(samples + loads.signs(to_g=True)))
            self._hand_back = links.hand_over(*(parts + loads.signs(to_g=False)))

    def refresh(self, config: Config) -> None:
        """Take what has changed, as ``Strategy.refresh``."""
        self.networks.refresh(config)
        self._batches.refresh(config.seed)

    def step(self, given: Given, step: tf.Tensor, row: tf.Tensor, live: tf.Tensor) -> tf.Tensor:
        """Make the updates of a step; return a row of the table of a call (``loop``).

        Args:
            given: what the shards of this rank are given.
            step: steps made before.
            row: of the step among the older versions.
            live: whether networks and older versions are changed at all.
        """
        raise NotImplementedError

    def _drawn(self, step: tf.Tensor) -> tf.Tensor:
        """Return the number by which a step's noise is drawn."""
        return step + self.networks.discarded


class GeneratorSide(Side):
    """A rank that trains G, with the older versions that a checkpoint holds."""

    def __init__(
        self, config: Config, state: State, placing: Placing, rank: int, links: Links
    ) -> None:
        """Prepare the side of a rank; the arguments are those of ``Split``."""
        super().__init__(config, state, placing, rank, links)
        self._older_g, self._older_d = state.generator_versions, state.discriminator_versions[0]

    def step(self, given: Given, step: tf.Tensor, row: tf.Tensor, live: tf.Tensor) -> tf.Tensor:
        """Update G once, as ``Side.step``."""
        if self._older_g and self._older_d:
            return self._looking_back(self._older_g, self._older_d, given, step, row, live)
        fakes = self._fakes(given, step)
        weights = self._arrived(self._hand_over(fakes), fakes)
        if not self._is_simultaneous:  # what came are signs that D's ranks have begun
            weights = self._arrived(self._hand_back(weights), weights)
        judge = self._d.unpacked(weights[: self._d.layout.length])
        return self._row(self._learn(given, step, judge)[0], step, live)

    def _looking_back(
        self,
        older_g: Rows,
        older_d: Rows,
        given: Given,
        step: tf.Tensor,
        row: tf.Tensor,
        live: tf.Tensor,
    ) -> tf.Tensor:
        """Make the step with an older D, and give the samples of the present G."""
        present = self._g.packed()
        # After G's update comes the step's next D, when alternating: its row is the next one.
        own_row = row if self._is_simultaneous else row + 1
        judge = self._d.unpacked(older_d.read(own_row))
        if self._is_simultaneous:  # D is given the samples that G itself learns from
            total, fakes = self._learn(given, step, judge)
        else:
            fakes = self._fakes(given, step)
            total, _ = self._learn(given, step, judge)
        coming = self._hand_over(fakes)
        found = self._row(total, step, live)
        weights = self._arrived(coming, found)[: self._d.layout.length]
        older_d.write(own_row, tf.where(live, weights, older_d.read(own_row)))
        older_g.write(row, tf.where(live, present, older_g.read(row)))
        return found

    def _learn(self, given: Given, step: tf.Tensor, judge: Version) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the sum of G's gradients, and the samples that they come from as one vector."""
        number = 0 if self._is_simultaneous else self._d_updates

        def gradients(batches: Batches, measured: tf.Tensor | bool) -> tuple[tf.Tensor, tf.Tensor]:
            batch = batches(None, given.labels, self._drawn(step), number)

            def local(index: tf.Tensor | int) -> tuple[tf.Tensor, tf.Tensor]:
                found, fake = self._objective.generator(batch(index), judge)
                return self._update.join([found], self.networks.stop, measured), _float(fake)

            total, stacked = batches.sum_and_stack(self._update.length, local)
            return total, tf.reshape(batches.by_shard(stacked), [-1])

        return noise_scale.in_passes(self._batches, step, gradients)

    def _fakes(self, given: Given, step: tf.Tensor) -> tf.Tensor:
        """Return the samples for all updates of D in a step as one vector, by shard."""
        found = []
        for number in range(self._d_updates):
            batches = self._batches(None, given.labels, self._drawn(step), number)

            def make(
                index: tf.Tensor | int,
                batches: Callable[[tf.Tensor | int], Batch] = batches,
            ) -> tf.Tensor:
                return _float(self._objective.fake(batches(index)))

            found.append(self._batches.by_shard(self._batches.stacked(make)))
        return tf.reshape(tf.concat(found, 1), [-1])

    def _row(self, total: tf.Tensor, step: tf.Tensor, live: tf.Tensor) -> tf.Tensor:
        """Update G; return the row."""
        found = self._update.apply(total, step, live)
        return tf.concat([[0.0], found[:3], [0.0, 0.0], found[3:]], 0)


class DiscriminatorSide(Side):
    """A rank that trains D, with the samples that it looks back at."""

    def __init__(
        self, config: Config, state: State, placing: Placing, rank: int, links: Links
    ) -> None:
        """Prepare the side of a rank; the arguments are those of ``Split``."""
        super().__init__(config, state, placing, rank, links)
        self._older_fakes: Rows | None = None
        if self._staleness:
            length = len(placing.hosted(rank)) * int(np.prod(self._of_shard))
            self._older_fakes = Rows(self._staleness, length)

    def step(self, given: Given, step: tf.Tensor, row: tf.Tensor, live: tf.Tensor) -> tf.Tensor:
        """Make D's updates, as ``Side.step``."""
        if self._older_fakes is not None:
            return self._looking_back(self._older_fakes, given, step, row, live)
        if self._is_simultaneous:
            parts = self._own_parts()
            return self._teach(given, self._arrived(self._hand_over(parts), parts), step, live)
        signs = tf.fill([self._placing.generator_ranks], tf.cast(live, tf.float32))
        fakes = self._arrived(self._hand_over(signs), signs)
        found = self._teach(given, fakes, step, live)
        parts = self._own_parts()
        signs = self._arrived(self._hand_back(parts), parts)
        # They are 1: nothing is added.
        return found + tf.minimum(tf.reduce_min(signs), 0.0)

    def _looking_back(
        self, older: Rows, given: Given, step: tf.Tensor, row: tf.Tensor, live: tf.Tensor
    ) -> tf.Tensor:
        """Make the step with the samples of an older G, and give the D of the step."""
        fakes, before = older.read(row), self._own_parts()
        found = self._teach(given, fakes, step, live)
        coming = self._hand_over(before if self._is_simultaneous else self._own_parts())
        older.write(row, self._arrived(coming, found))
        return found

    def _teach(self, given: Given, fakes: tf.Tensor, step: tf.Tensor, live: tf.Tensor) -> tf.Tensor:
        """Update D on each batch of a step; return the row, with the last loss."""
        by_shard = tf.reshape(fakes, (-1, *self._of_shard))
        row = notes = tf.zeros([])
        for number in range(self._d_updates):

            def gradients(
                batches: Batches, measured: tf.Tensor | bool, number: int = number
            ) -> list[tf.Tensor]:
                batch = batches(given.samples, given.labels, self._drawn(step), number)
                samples = batches.pieces(by_shard, number)
                labels = lambda index: None  # noqa: E731
                if given.older_labels is not None:
                    labels = batches.pieces(given.older_labels, number)

                def local(index: tf.Tensor | int) -> list[tf.Tensor]:
                    fake = Fake(samples(index), labels(index))
                    found = self._objective.discriminator(batch(index), fake)
                    return [self._update.join([found], self.networks.stop, measured)]

                return batches.sums([self._update.length], local)

            (total,) = noise_scale.in_passes(self._batches, step, gradients)
            row = self._update.apply(total, step, live)
            notes += row[1:3]
        return tf.concat([row[:1], [0.0], notes, row[3:], [0.0, 0.0]], 0)

    def _own_parts(self) -> tf.Tensor:
        """Return this rank's part of D's weights, once for each rank of G."""
        first, sharing = self._placing.generator_ranks, self._placing.discriminator_ranks
        padding = -self._d.layout.length % sharing
        parts = tf.reshape(tf.pad(self._d.packed(), [[0, padding]]), [sharing, -1])
        return tf.tile(parts[self._rank - first], [first])


def _float(fake: Fake) -> tf.Tensor:
    return tf.cast(fake.samples, tf.float32)
