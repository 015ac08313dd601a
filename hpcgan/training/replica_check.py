"""The check that ranks hold the same networks: hashes of weights, compared by all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from hpcgan.errors import RunError
from hpcgan.gan.state import State
from hpcgan.training.callback import Call, Callback
from hpcgan.training.sharing import Sharing
from hpcgan.world import World

if TYPE_CHECKING:
    import keras


class ReplicaCheck(Callback):
    """Compares the networks of all ranks that hold them, at a period of steps."""

    def __init__(self, world: World, state: State, period: int | None, sharing: Sharing) -> None:
        """Check ``state`` each ``period`` steps, at the end of a call; None for never.

        ``sharing`` knows what of it this rank holds.
        """
        self._world = world
        self._state = state
        self._sharing = sharing
        self._period = period
        self.reset()

    def reset(self) -> None:
        """Take note that all ranks hold the same now."""
        self._same_at = self._state.step

    def after_call(self, call: Call) -> None:
        """Compare if a multiple of the period was passed.

        Raises:
            RunError: as ``check``.
        """
        if self._period and call.last // self._period > call.first // self._period:
            self.check()

    def check(self) -> None:
        """Refuse to go on with ranks that hold different networks.

        All ranks must call it, after the same step.

        Raises:
            RunError: a rank's weights, statistics or optimizers differ from those of most (on all
                ranks).
        """
        variables = self._state.variables()
        own = {group: _digest(variables[group].values()) for group in self._sharing.held()}
        of_ranks = self._world.gather_json(own)
        odd: set[int] = set()
        for group in variables:
            found = {rank: each[group] for rank, each in enumerate(of_ranks) if group in each}
            digests = list(found.values())
            most = max(digests, key=digests.count)
            odd |= {rank for rank, digest in found.items() if digest != most}
        if odd:  # of two that differ, the second: nobody knows which is right
            hosts = self._world.hosts
            named = ", ".join(f"{rank} on {hosts[rank]}" for rank in sorted(odd))
            raise RunError(
                f"after step {self._state.step} the networks of rank {named} differ from "
                "those of the others: a memory or processor fault, or a fault in the network; go "
                f"on without that host, from a checkpoint of step {self._same_at} or before: all "
                "ranks have learnt from the odd one since then",
                on_all_ranks=True,
            )
        self.reset()


def _digest(variables: Iterable[keras.Variable]) -> str:
    """Return a hash of the values of variables."""
    digest = hashlib.sha256()
    for variable in variables:
        digest.update(np.ascontiguousarray(np.array(variable)).data)
    return digest.hexdigest()
