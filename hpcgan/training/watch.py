"""Numbers that are not finite, and ranks whose networks drift apart.

What is looked at is the same on all ranks, so all of them decide alike: updates are averages over
all shards, and hashes of weights are compared by all.
"""

from __future__ import annotations

import hashlib

import numpy as np

from hpcgan.config import WatchConfig
from hpcgan.errors import RunError
from hpcgan.gan.state import State
from hpcgan.world import World


class Diverged(Exception):
    """The run must go back to a checkpoint; all ranks raise it after the same step."""


class Skips:
    """Updates that were left out, or turns of them, since they were not finite."""

    def __init__(self, config: WatchConfig, precision: str) -> None:
        """Count from 0.

        Args:
            config: what is to be done.
            precision: of the run; with mixed_float16 gradients overflow now and then, and its
                losses' scale follows (Micikevicius et al., 2018).
        """
        self._rolls_back = config.nonfinite == "rollback"
        is_half = precision == "mixed_float16"
        self._most = 0 if self._rolls_back and not is_half else config.skips
        self._stops = config.nonfinite == "stop" and not is_half
        self._in_a_row = 0

    def check(self, skipped: np.ndarray, last: int) -> None:
        """Take note of some steps.

        Args:
            skipped: (steps,), not 0 where something was left out.
            last: updates made after them.

        Raises:
            RunError: a step was skipped and must not be, or too many were in a row.
            Diverged: the same, with ``nonfinite: rollback``.
        """
        for place, each in enumerate(skipped):
            self._in_a_row = self._in_a_row + 1 if each else 0
            step = last - len(skipped) + place + 1
            if each and self._stops:
                raise _agreed(
                    f"the losses or gradients of step {step} are not finite; the newest "
                    "checkpoint is from before it: go on from there with a lower learning rate "
                    "and --allow-change, or with watch.nonfinite: skip"
                )
            if self._in_a_row > self._most and self._rolls_back:
                raise Diverged(f"the losses or gradients of step {step} are not finite")
            if self._in_a_row > self._most:
                raise _agreed(
                    f"{self._in_a_row} updates in a row, to step {step}, were left out, or turns "
                    "of them, since they were not finite (watch.skips); go on from an earlier "
                    "checkpoint with a lower learning rate and --allow-change"
                )


def compare_ranks(world: World, state: State, since: int) -> None:
    """Refuse to go on with ranks that hold different networks.

    All ranks must call it, after the same step.

    Args:
        world: the ranks.
        state: what this rank holds.
        since: updates after which all ranks held the same.

    Raises:
        RunError: a rank's weights, statistics or optimizers differ from those of most.
    """
    digest = hashlib.sha256()
    for named in state.arrays().values():
        for array in named.values():
            digest.update(np.ascontiguousarray(array).data)
    digests = world.gather_json([digest.hexdigest(), world.host])
    names = [name for name, _ in digests]
    most = max(names, key=names.count)
    odd = [f"{rank} on {host}" for rank, (name, host) in enumerate(digests) if name != most]
    if odd:  # of two that differ, the second: nobody knows which is right
        raise _agreed(
            f"after step {state.step} the networks of rank {', '.join(odd)} differ from those of "
            "the others: a memory or processor fault, or a fault in the network; go on without "
            f"that host, from a checkpoint of step {since} or before: all ranks have learnt from "
            "the odd one since then"
        )


def _agreed(message: str) -> RunError:
    """Return an error that all ranks raise at the same step."""
    error = RunError(message)
    error.agreed = True
    return error
