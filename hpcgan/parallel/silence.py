"""Links of ranks that never talk: for the no-communication baseline, and to count what travels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from hpcgan.all_reduce import AllReduce, identity
from hpcgan.group import Group

if TYPE_CHECKING:
    import tensorflow as tf


class Meeting(NamedTuple):
    """An exchange of a step, in which a rank meets others.

    Attributes:
        kind: "sum" or "hand-over".
        ranks: that take part.
        sent: bytes that this rank gives.
        received: bytes that it gets.
    """

    kind: str
    ranks: int
    sent: int
    received: int


class Silence:
    """What ``Ring`` makes, for a rank that goes on as if all others had sent what it has.

    Attributes:
        meetings: that a step of the ring would have, once the step is compiled.
    """

    def __init__(self, ranks: int) -> None:
        """Begin without meetings of so many ranks."""
        self._ranks = ranks
        self.meetings: list[Meeting] = []

    def all_reduce(self, group: Group | None = None) -> AllReduce:
        """Return what stands for the sum over a group, or over all ranks."""
        return self._sum(group, 4)

    def half_all_reduce(self, dtype: str, group: Group | None = None) -> AllReduce:
        """Return the same where numbers would be sent as a ``dtype`` of 16 bits."""
        return self._sum(group, 2)

    def all_to_all(self, sends: Sequence[int], receives: int) -> Callable[[tf.Tensor], tf.Tensor]:
        """Return what takes the vector to hand over, and gives numbers in the place of others'.

        The arguments are those of ``Ring.all_to_all``.
        """
        import tensorflow as tf

        def hand_over(vector: tf.Tensor) -> tf.Tensor:
            self._note("hand-over", self._ranks, 4 * sum(sends), 4 * receives)
            # Small, and not known before the vector is, which would else not be computed.
            return tf.fill([receives], 1e-3 * tf.reduce_mean(vector))

        return hand_over

    def _sum(self, group: Group | None, width: int) -> AllReduce:
        """Return the sum of as many equal vectors as a group has ranks."""
        ranks = len(group.ranks) if group else self._ranks

        def equal(vector: tf.Tensor, scale: float = 1.0) -> tf.Tensor:
            length = vector.shape.num_elements()
            if length is not None:  # else it is of a call, not of a step
                self._note("sum", ranks, width * length, width * length)
            return identity(vector, ranks * scale)

        return equal

    def _note(self, kind: str, ranks: int, sent: int, received: int) -> None:
        self.meetings.append(Meeting(kind, ranks, sent, received))
