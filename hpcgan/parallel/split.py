"""G and D at the same time, on ranks of their own.

    step t:  ranks 0, 1 train G    samples that G(t) makes  ---->  ranks 2, 3 train D
             judged by D(t-s)      weights of D(t)          <----  on the samples of G(t-s)
             mean over 0, 1        one hand-over                   mean over 2, 3

Both groups compute all shards. What is handed over in a step is needed s steps later, with
``train.staleness: s``: so neither group waits for the other one's computation, unless s is 0. The
networks are those of the same staleness on one rank; but an update that is left out, since its
numbers are not finite, is left out of its own network alone. What each side does: ``sides``.

ParaGAN (Liu et al., 2024) and others have such an asynchronous update; theirs runs free, and what
it trains depends on the machine's speed.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from hpcgan.config import Config
from hpcgan.gan.network import Version
from hpcgan.gan.state import State
from hpcgan.gan.step import Given
from hpcgan.parallel import Report
from hpcgan.parallel.loop import COLUMNS, over_steps, report, signature
from hpcgan.parallel.placing import Placing
from hpcgan.parallel.sides import DiscriminatorSide, GeneratorSide, Links


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
        self._state, self._placing = state, placing
        self._staleness, self._sum_all = config.staleness, links.sum_all
        # The losses of one rank of each group stand for all.
        self._speaks = rank in (0, placing.generator_ranks)
        kind = GeneratorSide if rank < placing.generator_ranks else DiscriminatorSide
        self._side = kind(config, state, placing, rank, links)
        self.together = self._side.together
        hosted = len(placing.hosted(rank))
        self.description = (
            f"{placing.generator_ranks} ranks train G, {placing.discriminator_ranks} D;"
            f" this one {hosted} shards, {self.together} at a time"
        )
        if not self._staleness:
            self.description += "; without staleness one side waits for the other"
        given = signature(config, state, dtype, len(placing.read(rank)), hosted)
        row, live = tf.TensorSpec((), tf.int64), tf.TensorSpec((), tf.bool)
        self._compiled = tf.function(
            self._run, input_signature=[row, live, *given], autograph=False
        )
        self._samples = given[0]
        self._is_ready = not self._staleness

    def holders(self, group: str) -> Sequence[int]:
        """Return the ranks that hold a group of variables: older versions are with G."""
        first = self._placing.generator_ranks
        is_of_g = group.startswith("generator") or group.endswith("versions")
        return range(first) if is_of_g else range(first, self._placing.ranks)

    def between_calls(self, step: int) -> None:
        """Do nothing: nothing is due."""

    def request_stop(self) -> None:
        """Have all ranks learn in their next step that this rank wants to stop."""
        self._side.networks.stop.assign(1.0)

    def refresh(self, config: Config) -> None:
        """Take what has changed, as ``Strategy.refresh``; the samples of older Gs are made anew."""
        self._side.refresh(config)
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
        g, versions = self._side.networks.generator, self._state.generator_versions
        assert versions is not None
        present, variables = g.version(), [*g.weights, *g.statistics]
        for row in range(self._staleness):
            step = max(0, first_step - 1 - (first_step - 1 - row) % self._staleness)
            _assign(variables, g.unpacked(versions.read(tf.constant(row, tf.int64))))
            others: tuple[tf.Tensor, ...] = ()
            if labels is not None:  # they begin at the step before which nothing is looked back at
                own = step - max(0, first_step - self._staleness)
                before = min(step, self._staleness)
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

        def train_step(given: Given, step: tf.Tensor) -> tf.Tensor:
            return self._side.step(given, step, first_row + step - first_step, live)

        # One at once: a hand-over may begin when the last one has ended.
        table = over_steps(train_step, samples, labels, first_step, self._staleness, at_once=1)
        flat = tf.reshape(table if self._speaks else tf.zeros_like(table), [-1])
        return report(tf.reshape(self._sum_all(flat), [-1, COLUMNS]))


def _assign(variables: Sequence, version: Version) -> None:
    """Give variables the values of a version."""
    for variable, value in zip(variables, [*version.weights, *version.statistics], strict=True):
        variable.assign(value)
