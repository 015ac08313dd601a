"""The ways of training in parallel, a file each, behind one interface.

The trainer, checkpoints, logger and liveness see a ``Strategy`` and never ask which one it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import tensorflow as tf

    from hpcgan.config import Config


class Report(NamedTuple):
    """What happened in the steps of a call: the same on all ranks.

    Attributes:
        losses: of D and G, (steps, 2), means over all shards.
        stop: (steps,), not 0 where a rank wants to stop.
        skipped: (steps,), not 0 where an update was left out: its numbers were not finite.
        squares: of the gradients of D and G, (steps, 2, 2), as ``NoiseScale.add``; else 0.
    """

    losses: tf.Tensor
    stop: tf.Tensor
    skipped: tf.Tensor
    squares: tf.Tensor


class Strategy(Protocol):
    """A way of training the networks of a ``State``, as one of the ranks sees it.

    All ranks make theirs together, and then the same calls in the same order.

    Attributes:
        description: how the shards of this rank are computed, in words for the log.
        period: steps after which something is due between calls; None for nothing.
    """

    description: str
    period: int | None

    def run(
        self, samples: tf.Tensor, first_step: tf.Tensor, labels: tf.Tensor | None = None
    ) -> Report:
        """Make a training step for each step of ``samples``; a compiled function.

        Args:
            samples: (steps, shards that this rank reads, samples per step, *sample_shape), uint8 or
                float32.
            first_step: scalar int64, number of steps made before.
            labels: (steps, hosted shards, samples per step), int32 or float32, of K values with one
                axis more; None if the networks take none. Before them come those of the
                ``train.staleness`` steps before, or of as many as there were.
        """
        ...

    def between_calls(self, step: int) -> None:
        """Do what is due after ``step`` steps. All ranks must call it after each call."""
        ...

    def holders(self, group: str) -> Sequence[int]:
        """Return the ranks that hold a group of the state's variables as it is; others may not."""
        ...

    def request_stop(self) -> None:
        """Have all ranks learn in their next step that this rank wants to stop."""
        ...

    def refresh(self, config: Config) -> None:
        """Go on from another state, such as a checkpoint's, or with another seed or other values.

        All ranks must call it after the same step. ``config`` is like the one of the beginning but
        for the seed and for what members of a population differ in (``varied.VARIABLE``).
        """
        ...
