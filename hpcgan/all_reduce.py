"""What an all-reduce is to the compiled update, whatever carries it: a sum over a group of ranks.

``ring`` makes those that Horovod carries; ``parallel.timer`` makes one note its times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import tensorflow as tf


class AllReduce(Protocol):
    """A sum over all ranks of a group of one flat vector."""

    def __call__(self, vector: tf.Tensor, scale: float = 1.0) -> tf.Tensor:
        """Return the sum over the ranks of ``scale`` times their vectors, (length,), float32.

        All ranks of the group must call it equally often, in the same order, with vectors of one
        length and the same scale.
        """
        ...


def identity(vector: tf.Tensor, scale: float = 1.0) -> tf.Tensor:
    """Return ``scale`` times the vector: the all-reduce of a group of one."""
    return vector if scale == 1.0 else scale * vector
