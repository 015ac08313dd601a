"""What one rank knows of another, and who is to blame when a run does not go on."""

from __future__ import annotations

import sys
import threading
import traceback
from dataclasses import dataclass

# Of stall_seconds, when the ranks must have ended. A rank that hangs is named before the others,
# which wait for it in the update, are found to be there too long.
_NAMED_AT, _WAITED_AT = 0.85, 0.95
_COMPILE = 600.0  # seconds that the first call of the update may take in any case


@dataclass
class Pulse:
    """What is known of a rank.

    Attributes:
        rank: its number.
        host: where it runs.
        moves: times that it has begun or ended a call of the update: odd inside one.
        step: updates made.
        heard: when it last told anything, in seconds of the monotonic clock.
        moved: when ``moves`` last grew.
        is_gone: whether its connection has ended without a word.
    """

    rank: int
    host: str
    moves: int = 0
    step: int = 0
    heard: float = 0.0
    moved: float = 0.0
    is_gone: bool = False

    @property
    def is_updating(self) -> bool:
        """Whether it is inside a call of the update."""
        return self.moves % 2 == 1

    def hear(self, moves: int, step: int, now: float) -> None:
        """Take note of how far it has come."""
        if moves != self.moves or not self.moved:
            self.moved = now
        self.moves, self.step, self.heard = moves, step, now


def blame(own: Pulse, others: list[Pulse], stall_seconds: float, now: float) -> str | None:
    """Return why the run must end, or None as long as nothing is wrong.

    Args:
        own: this rank.
        others: its neighbours that have not left.
        stall_seconds: in which each rank must make progress, once its first call of the update has
            begun; that one may take longer, for it is compiled.
        now: seconds of the monotonic clock.
    """
    step = max(each.step for each in [own, *others])
    for each in others:
        who = f"rank {each.rank} on {each.host}"
        if each.is_gone:
            return f"{who} died after step {step}: killed, crashed or out of memory"
        silent = now - each.heard
        if silent > _NAMED_AT * stall_seconds:
            return (
                f"{who} is silent since step {step}, for {silent:.0f} s (run.stall_seconds): it is "
                "stopped, or its host or the network is lost"
            )
    stands = now - own.moved
    if own.moves == 0 or (own.moves == 1 and stands < _COMPILE):
        return None
    if own.is_updating and own.rank == 0 and stands > _WAITED_AT * stall_seconds:
        return (
            f"the ranks are inside the update after step {step} for {stands:.0f} s "
            "(run.stall_seconds): a layer or the exchange hangs; Horovod's warning, if there is "
            "one, names the ranks that are missing"
        )
    if not own.is_updating and stands > _NAMED_AT * stall_seconds:
        return (
            f"rank {own.rank} on {own.host} stalls after step {step}, for {stands:.0f} s "
            f"(run.stall_seconds), in{_place()}"
        )
    return None


def _place() -> str:
    """Return where the main thread is: the innermost places of its stack."""
    frame = sys._current_frames()[threading.main_thread().ident or 0]
    found = traceback.extract_stack(frame)[-3:]
    return ",".join(f" {each.name} ({each.filename}:{each.lineno})" for each in reversed(found))
