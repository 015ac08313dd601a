"""The policy for updates whose losses or gradients are not finite.

What it looks at is an average over all shards, the same on all ranks, so all of them decide alike.
"""

from __future__ import annotations

from hpcgan.config_beside import WatchConfig
from hpcgan.errors import Diverged
from hpcgan.training.callback import Call, Callback


class RollbackRequired(Exception):
    """The run must go back to a checkpoint; all ranks raise it after the same step.

    Attributes:
        to_best: whether to the best checkpoint, if there is one, and not to the newest.
    """

    def __init__(self, why: str, to_best: bool = False) -> None:
        """Say ``why``."""
        super().__init__(why)
        self.to_best = to_best


class NonFinitePolicy(Callback):
    """Counts updates that were left out, or one of those of a step, and ends the run if it must."""

    def __init__(self, config: WatchConfig, precision: str) -> None:
        """Count from 0.

        With mixed_float16 gradients overflow now and then, and the losses' scale follows
        (Micikevicius et al., 2018).
        """
        self._rolls_back = config.nonfinite == "rollback"
        is_half = precision == "mixed_float16"
        self._most = 0 if self._rolls_back and not is_half else config.skips
        self._stops = config.nonfinite == "stop" and not is_half
        self._in_a_row = 0

    def reset(self) -> None:
        """Count from 0 again."""
        self._in_a_row = 0

    def after_call(self, call: Call) -> None:
        """Look at the steps of a call.

        Raises:
            Diverged: a step was skipped and must not be, or too many were in a row (on all ranks).
            RollbackRequired: the same, with ``nonfinite: rollback``.
        """
        for step, skipped in enumerate(call.skipped, call.first + 1):
            self._in_a_row = self._in_a_row + 1 if skipped else 0
            if skipped and self._stops:
                raise Diverged(
                    f"the losses or gradients of step {step} are not finite; the newest "
                    "checkpoint is from before it: go on from there with a lower learning rate "
                    "and --allow-change, or with watch.nonfinite: skip",
                    on_all_ranks=True,
                )
            if self._in_a_row > self._most and self._rolls_back:
                raise RollbackRequired(f"the losses or gradients of step {step} are not finite")
            if self._in_a_row > self._most:
                raise Diverged(
                    f"in {self._in_a_row} steps in a row, to step {step}, an update was left out, "
                    "since its numbers were not finite (watch.skips); go on from an earlier "
                    "checkpoint with a lower learning rate and --allow-change",
                    on_all_ranks=True,
                )
