"""What happens beside the training, and what it is given: a call of some steps that was made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Call(NamedTuple):
    """A call that was made; the same on all ranks.

    Attributes:
        first: steps made before.
        steps: those of the call.
        losses: of D and G, (steps, 2).
        skipped: (steps,) bool, which updates were left out: their numbers were not finite.
        stops: whether a rank wants to stop.
        squares: of gradients that were measured, (steps, 2, 2), as in ``Report``.
    """

    first: int
    steps: int
    losses: np.ndarray
    skipped: np.ndarray
    stops: bool
    squares: np.ndarray

    @property
    def last(self) -> int:
        """Steps made after it."""
        return self.first + self.steps


class Callback:
    """What happens beside the training; nothing, if a subclass does not say what.

    Callbacks enclose a call: the first of a trainer comes last before it and first after it. They
    are called at the same steps on all ranks: so they may contain collectives.

    Attributes:
        periods: a call ends at multiples of each; None for none.
    """

    periods: Sequence[int | None] = ()

    def before_call(self, first: int) -> None:
        """Do what is due before a call, after ``first`` steps."""

    def after_call(self, call: Call) -> None:
        """Do what is due after a call."""
