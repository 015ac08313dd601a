"""What an exchange is to the compiled update, whatever carries it: a sum over all ranks.

``ring`` makes those that Horovod carries, and ``marks`` those that note when they begin and end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import tensorflow as tf


class Exchange(Protocol):
    """A sum over all ranks of one flat vector."""

    def __call__(self, vector: tf.Tensor, scale: float = 1.0) -> tf.Tensor:
        """Return the sum over all ranks of ``scale`` times their vectors, (length,), float32.

        All ranks must call it equally often, in the same order, with vectors of one length and
        the same scale.
        """
        ...


def alone(vector: tf.Tensor, scale: float = 1.0) -> tf.Tensor:
    """Return ``scale`` times the vector: the exchange of a rank that talks to nobody."""
    return vector if scale == 1.0 else scale * vector
