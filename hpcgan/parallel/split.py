"""G and D at the same time, on ranks of their own.

    step t:  ranks 0, 1 train G    samples that G(t) makes  ---->  ranks 2, 3 train D
             judged by D(t-s)      weights of D(t)          <----  on the samples of G(t-s)
             mean over 0, 1        one hand-over                   mean over 2, 3

Both groups compute all shards. What is handed over in a step is needed s steps later, with
``train.staleness: s``: so neither group waits for the other one's computation, unless s is 0. The
networks are those of the same staleness on one rank; but an update that is left out, since its
numbers are not finite, is left out of its own network alone.

ParaGAN (Liu et al., 2024) and others have such an asynchronous update; theirs runs free, and what
it trains depends on the machine's speed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from hpcgan.config import Config
from hpcgan.gan.batches import Batches
from hpcgan.gan.models.normalisation import synchronised
from hpcgan.gan.models.together import shards_together
from hpcgan.gan.network import Version
from hpcgan.gan.objective import Batch, Fake
from hpcgan.gan.state import State
from hpcgan.gan.step import Given, Networks
from hpcgan.gan.update import Sums, Update
from hpcgan.gan.versions import Rows
from hpcgan.parallel import Report
from hpcgan.parallel.loop import COLUMNS, over_steps, report, signature
from hpcgan.parallel.placing import Placing


class Links(NamedTuple):
    """What a rank has to talk by.

    Attributes:
        sums: over the ranks that train the same network.
        hand_over: makes, of the lengths that this rank sends to each rank and of the length that
            it receives in all, what gives a vector of the first and returns one of the second.
        sum_all: the sum over all ranks.
    """

    sums: Sums
    hand_over: Callable[[Sequence[int], int], Callable[[tf.Tensor], tf.Tensor]]
    sum_all: Callable[[tf.Tensor], tf.Tensor]


class Split:
    """A ``Strategy`` for one rank, which trains one of the two networks."""

    period: int | None = None

    def __init__(
        self,
        config: Config,
        state: State,
        dtype: str,
        placing: Placing,
        rank: int,
        links: Links,
    ) -> None:
        """Compile the training step, for any number of steps per call.

        Args:
            config: with ``data.shards`` resolved to a number.
            state: the networks and optimizers, of which ``run`` changes those of this rank.
            dtype: of the samples, "uint8" or "float32".
            placing: which ranks train what.
            rank: this one.
            links: to the other ranks.
        """
        train, hosted = config.train, placing.hosted(rank)
        self._state, self._placing, self._rank = state, placing, rank
        self._staleness, self._d_updates = config.staleness, train.discriminator_steps
        self._is_simultaneous = train.update == "simultaneous"
        self._batch_size, self._sum_all = train.batch_size, links.sum_all
        self._versions: dict[str, Rows] = {}  # older ones, if training looks back
        if state.generator_versions and state.discriminator_versions[0]:
            g_rows, d_rows = state.generator_versions, state.discriminator_versions[0]
            self._versions = {"generator": g_rows, "discriminator": d_rows}
        self._trains_g = rank < placing.generator_ranks
        self.networks = Networks(config, state)
        (self._d,), (self._objective,) = self.networks.discriminators, self.networks.objectives
        self._g = self.networks.generator
        for layer in synchronised(state.generator):
            layer.all_reduce = links.sums.all_reduce
        models = (state.generator, state.discriminators[0])
        self.together = shards_together(models, len(hosted), train.batch_size // train.accumulate)
        self._batches = Batches(config, hosted, self.together)
        own = self._g if self._trains_g else self._d
        self._update = Update([own], placing.shards * train.accumulate, links.sums)
        self._sample_shape = tuple(state.discriminators[0].inputs[0].shape[1:])
        per_shard = self._d_updates * train.batch_size * int(np.prod(self._sample_shape))
        # The samples that D looks back at, of its shards.
        self._older_fakes: Rows | None = None
        if self._staleness and not self._trains_g:
            self._older_fakes = Rows(self._staleness, len(hosted) * per_shard)
        self._make_links(links, per_shard)
        self.description = (
            f"{placing.generator_ranks} ranks train G, {placing.ranks - placing.generator_ranks} D;"
            f" this one {len(hosted)} shards, {self.together} at a time"
        )
        given = signature(config, state, dtype, len(placing.read(rank)), len(hosted))
        row, live = tf.TensorSpec((), tf.int64), tf.TensorSpec((), tf.bool)
        self._compiled = tf.function(
            self._run, input_signature=[row, live, *given], autograph=False
        )
        self._samples = given[0]
        self._is_ready = not self._staleness

    def _make_links(self, links: Links, per_shard: int) -> None:
        """Make the hand-overs: samples one way, weights of D the other."""
        placing, rank = self._placing, self._rank
        givers, takers = placing.generator_ranks, placing.ranks - placing.generator_ranks
        length = self._d.layout.length
        self._padding = -length % takers
        part = (length + self._padding) // takers  # that each of D's ranks gives to each of G's
        others = range(placing.ranks)
        if self._trains_g:
            fakes = [
                per_shard * placing.in_common(rank, other) if other >= givers else 0
                for other in others
            ]
            weights, got_fakes, got_weights = [0] * placing.ranks, 0, part * takers
        else:
            fakes = [0] * placing.ranks
            weights = [part if other < givers else 0 for other in others]
            got_fakes, got_weights = per_shard * len(placing.hosted(rank)), 0
        both = [a + b for a, b in zip(fakes, weights, strict=True)]
        self._hand_over = links.hand_over(both, got_fakes + got_weights)

    def holders(self, group: str) -> Sequence[int]:
        """Return the ranks that hold a group of variables: older versions are with G."""
        first = self._placing.generator_ranks
        is_of_g = group.startswith("generator") or group.endswith("versions")
        return range(first) if is_of_g else range(first, self._placing.ranks)

    def between_calls(self, step: int) -> None:
        """Do nothing: nothing is due."""

    def request_stop(self) -> None:
        """Have all ranks learn in their next step that this rank wants to stop."""
        self.networks.stop.assign(1.0)

    def take_rollbacks(self) -> None:
        """Take the state's rollbacks, and make the samples that D looks back at anew."""
        self.networks.take_rollbacks()
        self._is_ready = not self._staleness

    def run(
        self, samples: tf.Tensor, first_step: tf.Tensor, labels: tf.Tensor | None = None
    ) -> Report:
        """Make a training step for each step of ``samples``, as ``Strategy.run``."""
        others = () if labels is None else (labels,)
        if not self._is_ready:
            self._make_older_fakes(int(first_step), labels)
            self._is_ready = True
        row = first_step % max(1, self._staleness)
        found: Report = self._compiled(row, tf.constant(True), samples, first_step, *others)
        return found

    def _make_older_fakes(self, first_step: int, labels: tf.Tensor | None) -> None:
        """Have older versions of G make the samples that D looks back at, and give them to D.

        They are not in a checkpoint. The very steps in which they were made are run again, without
        updates: so they are the same, bit for bit. All ranks must call it, before ``first_step``.
        """
        shape = (1, *self._samples.shape[1:])
        samples = tf.zeros(shape, self._samples.dtype)
        versions, present = self._versions["generator"], self._g.version()
        variables = [*self._g.weights, *self._g.statistics]
        for row in range(self._staleness):
            step = max(0, first_step - 1 - (first_step - 1 - row) % self._staleness)
            older = self._g.unpacked(versions.read(tf.constant(row, tf.int64)))
            _assign(variables, older)
            others: tuple[tf.Tensor, ...] = ()
            if labels is not None:  # they begin at the step before which nothing is looked back at
                begin = max(0, first_step - self._staleness)
                before = min(step, self._staleness)
                own = step - begin
                others = (tf.concat([labels[own : own + 1]] * (before + 1), 0),)
            number = tf.constant(step, tf.int64)
            self._compiled(tf.constant(row, tf.int64), tf.constant(False), samples, number, *others)
        _assign(variables, present)

    def _run(
        self,
        first_row: tf.Tensor,
        live: tf.Tensor,
        samples: tf.Tensor,
        first_step: tf.Tensor,
        labels: tf.Tensor | None = None,
    ) -> Report:
        """Make the steps; without updates if not ``live``.

        ``first_row`` is that of the first step among the older versions. All ranks must call it
        for the same steps, in the same calls.
        """
        one_step = self._generator_step if self._trains_g else self._discriminator_step

        def train_step(given: Given, step: tf.Tensor) -> tf.Tensor:
            return one_step(given, step, first_row + step - first_step, live)

        # One at once: a hand-over may begin when the last one has ended.
        table = over_steps(train_step, samples, labels, first_step, self._staleness, at_once=1)
        # Those of one rank of each group stand for all.
        speaks = self._rank in (0, self._placing.generator_ranks)
        flat = tf.reshape(table if speaks else tf.zeros_like(table), [-1])
        return report(tf.reshape(self._sum_all(flat), [-1, COLUMNS]))

    # --- the ranks of G ------------------------------------------------------------------------

    def _generator_step(
        self, given: Given, step: tf.Tensor, row: tf.Tensor, live: tf.Tensor
    ) -> tf.Tensor:
        """Update G once; return a row of the table of a call."""
        present = self._g.packed()
        batches = self._own_batches(given, step, 0 if self._is_simultaneous else self._d_updates)
        if self._staleness:
            # After G's update comes the step's next D, when alternating: its row is the next one.
            versions, older = self._versions["generator"], self._versions["discriminator"]
            own_row = row if self._is_simultaneous else row + 1
            judge = self._d.unpacked(older.read(own_row))
            if self._is_simultaneous:
                total, fakes = self._learn(batches, judge)
            else:
                fakes = self._fakes(given, step)
                total, _ = self._learn(batches, judge)
            arrived = self._arrived_weights(self._hand_over(fakes))
            older.write(own_row, tf.where(live, arrived, older.read(own_row)))
            versions.write(row, tf.where(live, present, versions.read(row)))
        else:  # what G learns from waits for the D that comes for its samples
            arrived = self._hand_over(self._fakes(given, step))
            total, _ = self._learn(batches, self._d.unpacked(self._arrived_weights(arrived)))
        loss, stop, skipped = tf.unstack(self._update.apply(total, step, live))
        return tf.stack([tf.zeros([]), loss, stop, skipped])

    def _learn(
        self, batches: Callable[[tf.Tensor | int], Batch], judge: Version
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the sum of G's gradients, and the samples that they come from as one vector."""

        def local(index: tf.Tensor | int) -> tuple[tf.Tensor, tf.Tensor]:
            found, fake = self._objective.generator(batches(index), judge)
            return self._update.join([found], self.networks.stop), _float(fake)

        total, stacked = self._batches.sum_and_stack(self._update.length, local)
        return total, tf.reshape(self._batches.by_shard(stacked), [-1])

    def _fakes(self, given: Given, step: tf.Tensor) -> tf.Tensor:
        """Return the samples for all updates of D in a step as one vector, by shard."""
        found = []
        for number in range(self._d_updates):
            batches = self._own_batches(given, step, number)

            def make(
                index: tf.Tensor | int,
                batches: Callable[[tf.Tensor | int], Batch] = batches,
            ) -> tf.Tensor:
                return _float(self._objective.fake(batches(index)))

            found.append(self._batches.by_shard(self._batches.stacked(make)))
        return tf.reshape(tf.concat(found, 1), [-1])

    def _arrived_weights(self, vector: tf.Tensor) -> tf.Tensor:
        """Return D as one vector, of the parts that its ranks have sent."""
        return vector[: self._d.layout.length]

    # --- the ranks of D ------------------------------------------------------------------------

    def _discriminator_step(
        self, given: Given, step: tf.Tensor, row: tf.Tensor, live: tf.Tensor
    ) -> tf.Tensor:
        """Make D's updates of a step; return a row of the table of a call."""
        if self._staleness:
            older = self._older_fakes
            assert older is not None
            fakes = older.read(row)
            if self._is_simultaneous:
                sent = self._parts()
                found = self._teach(given, fakes, step, live)
            else:
                found = self._teach(given, fakes, step, live)
                sent = self._parts()
            older.write(row, self._hand_over(sent))
        else:
            found = self._teach(given, self._hand_over(self._parts()), step, live)
        loss, stop, skipped = tf.unstack(found)
        return tf.stack([loss, tf.zeros([]), stop, skipped])

    def _teach(self, given: Given, fakes: tf.Tensor, step: tf.Tensor, live: tf.Tensor) -> tf.Tensor:
        """Update D on each batch of a step; return the last loss and the sums of the notes."""
        shape = (-1, self._d_updates * self._batch_size, *self._sample_shape)
        by_shard = tf.reshape(fakes, shape)
        row = notes = tf.zeros([])
        for number in range(self._d_updates):
            own = slice(number * self._batch_size, (number + 1) * self._batch_size)
            batches = self._own_batches(given, step, number)
            samples = self._batches.pieces(by_shard[:, own])
            labels = lambda index: None  # noqa: E731
            if given.older_labels is not None:
                labels = self._batches.pieces(given.older_labels[:, own])

            def local(
                index: tf.Tensor | int,
                batches: Callable[[tf.Tensor | int], Batch] = batches,
                samples: Callable[[tf.Tensor | int], tf.Tensor] = samples,
                labels: Callable[[tf.Tensor | int], tf.Tensor | None] = labels,
            ) -> list[tf.Tensor]:
                fake = Fake(samples(index), labels(index))
                found = self._objective.discriminator(batches(index), fake)
                return [self._update.join([found], self.networks.stop)]

            (total,) = self._batches.sums([self._update.length], local)
            row = self._update.apply(total, step, live)
            notes += row[1:]
        return tf.concat([row[:1], notes], 0)

    def _parts(self) -> tf.Tensor:
        """Return this rank's part of D's weights, once for each rank of G."""
        first = self._placing.generator_ranks
        takers = self._placing.ranks - first
        parts = tf.reshape(tf.pad(self._d.packed(), [[0, self._padding]]), [takers, -1])
        return tf.tile(parts[self._rank - first], [first])

    # --- both ----------------------------------------------------------------------------------

    def _own_batches(
        self, given: Given, step: tf.Tensor, number: int
    ) -> Callable[[tf.Tensor | int], Batch]:
        """Return what gives the batches of an update: D's ``number``, or G's after those."""
        last = min(number, self._d_updates - 1)
        own = slice(last * self._batch_size, (last + 1) * self._batch_size)
        samples = None if self._trains_g else given.samples[:, own]
        labels = None if given.labels is None else given.labels[:, own]
        return self._batches(samples, labels, step + self.networks.discarded, number)


def _float(fake: Fake) -> tf.Tensor:
    return tf.cast(fake.samples, tf.float32)


def _assign(variables: Sequence, version: Version) -> None:
    """Give variables the values of a version."""
    for variable, value in zip(variables, [*version.weights, *version.statistics], strict=True):
        variable.assign(value)
