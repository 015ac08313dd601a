"""The check that all ranks hold the same networks: hashes of weights, compared by all."""

from __future__ import annotations

import hashlib

import numpy as np

from hpcgan.errors import RunError
from hpcgan.gan.state import State
from hpcgan.training.callback import Call, Callback
from hpcgan.world import World


class ReplicaCheck(Callback):
    """Compares the networks of all ranks at a period of steps."""

    def __init__(self, world: World, state: State, period: int | None) -> None:
        """Check ``state`` each ``period`` steps, at the end of a call; None for never."""
        self._world = world
        self._state = state
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
        digest = hashlib.sha256()
        for named in self._state.arrays().values():
            for array in named.values():
                digest.update(np.ascontiguousarray(array).data)
        digests = self._world.gather_json([digest.hexdigest(), self._world.host])
        names = [name for name, _ in digests]
        most = max(names, key=names.count)
        odd = [f"{rank} on {host}" for rank, (name, host) in enumerate(digests) if name != most]
        if odd:  # of two that differ, the second: nobody knows which is right
            raise RunError(
                f"after step {self._state.step} the networks of rank {', '.join(odd)} differ from "
                "those of the others: a memory or processor fault, or a fault in the network; go "
                f"on without that host, from a checkpoint of step {self._same_at} or before: all "
                "ranks have learnt from the odd one since then",
                on_all_ranks=True,
            )
        self.reset()
