"""Synchronous data parallelism: every rank trains the same networks on its own shards.

    rank 0: shards 0, 1   gradients --+                    +--> update, the same networks
    rank 1: shards 2, 3   gradients --+--> mean over all --+--> update, the same networks
    rank 2: shards 4, 5   gradients --+    six shards      +--> update, the same networks

Gradients, moving statistics and losses of an update travel in one ring all-reduce, in which every
rank waits for the slowest one.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from hpcgan.all_reduce import AllReduce
from hpcgan.config import Config
from hpcgan.gan.models.together import mixing_layer
from hpcgan.gan.state import State
from hpcgan.gan.step import TrainingStep
from hpcgan.gan.update import Sums
from hpcgan.parallel import Report
from hpcgan.parallel.loop import over_steps, report, signature


class Synchronous:
    """A ``Strategy`` for one rank and the shards that it hosts."""

    period: int | None = None

    def __init__(
        self,
        config: Config,
        state: State,
        dtype: str,
        hosted: range,
        all_reduce: AllReduce,
        reduce_gradients: AllReduce | None = None,
        ranks: int = 1,
    ) -> None:
        """Compile the training step, for any number of steps per call.

        Args:
            config: with ``data.shards`` resolved to a number.
            state: the networks and optimizers, which ``run`` changes.
            dtype: of the samples, "uint8" or "float32".
            hosted: the shards of this rank.
            all_reduce: the sum over all ranks.
            reduce_gradients: the same for gradients alone, where they are sent in another way.
            ranks: the number of ranks.
        """
        step = TrainingStep(config, state, hosted, Sums(all_reduce, reduce_gradients))
        update = {"simultaneous": step.simultaneous, "alternating": step.alternating}
        self._networks = step.networks
        self._train_step = update[config.train.update]
        self._staleness = config.staleness
        self._ranks = range(ranks)
        self.refresh = step.refresh
        self.together = step.together
        self.description = describe(state, len(hosted), step.together)
        # AutoGraph would read and rewrite all of this, for seconds, and find nothing to do.
        given = signature(config, state, dtype, len(hosted), len(hosted))
        self.run = tf.function(self._run, input_signature=given, autograph=False)

    def holders(self, group: str) -> Sequence[int]:
        """Return the ranks that hold a group of variables: all."""
        return self._ranks

    def between_calls(self, step: int) -> None:
        """Do nothing: nothing is due."""

    def request_stop(self) -> None:
        """Have all ranks learn in their next step that this rank wants to stop."""
        self._networks.stop.assign(1.0)

    def _run(
        self, samples: tf.Tensor, first_step: tf.Tensor, labels: tf.Tensor | None = None
    ) -> Report:
        """Make a training step for each step of ``samples``, as ``Strategy.run``.

        All ranks must call it for the same steps, in any division into calls: each step has as
        many all-reduces on every rank.
        """
        return report(over_steps(self._train_step, samples, labels, first_step, self._staleness))


def describe(state: State, hosted: int, together: int) -> str:
    """Return in words how the shards of this rank go through the networks."""
    if hosted == 1:
        return "1 shard per rank"
    networks = (state.generator, state.discriminators[0])
    mixing = [layer for layer in map(mixing_layer, networks) if layer]
    why = f", since layer {mixing[0]} may mix their samples" if mixing else ""
    return f"{hosted} shards per rank, {together} at a time{why}"
