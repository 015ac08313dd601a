"""What a rank knows of itself and of its peers, and what is wrong when a run stands still.

A rank waits for others inside a call, where ranks meet in the all-reduce, and inside the
collectives of its groups. A rank that stands still and waits for nobody is the one for which all
others wait: it prints that itself. If its process is stopped it cannot, and a peer does.
"""

from __future__ import annotations

import sys
import threading
import traceback
from dataclasses import dataclass

# Parts of stall_seconds, when the ranks must have ended. A rank that hangs is named before
# rank 0, which waits for it, finds that all have waited too long.
_NAMED_AT, _WAITED_AT = 0.85, 0.95
_LOOKS = 2.5  # seconds at least between the two: each rank looks once a second
_COMPILE = 600.0  # seconds that the first call may take in any case


@dataclass
class PeerState:
    """What is known of another rank.

    Attributes:
        rank: its number.
        host: where it runs.
        heard: when its last message came, in seconds of the monotonic clock.
        step: steps that it has made.
        is_gone: whether its connection has ended without a message.
    """

    rank: int
    host: str
    heard: float
    step: int = 0
    is_gone: bool = False


@dataclass
class OwnState:
    """How far this rank has come.

    Attributes:
        rank: its number.
        host: where it runs.
        moved: when it last moved, in seconds of the monotonic clock.
        calls: times that it has begun or ended a call of the compiled steps: odd inside one.
        meetings: times that it has entered or left a collective: odd inside one.
        step: steps made.
    """

    rank: int
    host: str
    moved: float
    calls: int = 0
    meetings: int = 0
    step: int = 0

    def note(self, calls: int, meetings: int, step: int, now: float) -> None:
        """Take note of how far it is now."""
        if (calls, meetings) != (self.calls, self.meetings):
            self.moved = now
        self.calls, self.meetings, self.step = calls, meetings, step


def diagnose(
    own: OwnState, others: list[PeerState], stall_seconds: float, now: float
) -> str | None:
    """Return why the run must end, or None as long as nothing is wrong.

    ``others`` are the peers that have not left. Each rank must make progress in ``stall_seconds``,
    once its first call has begun; that one may take longer, for it is compiled.
    """
    step = max(own.step, *(each.step for each in others), 0)
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
    if own.calls == 0 or (own.calls == 1 and stands < _COMPILE):
        return None
    is_updating, is_meeting = own.calls % 2 == 1, own.meetings % 2 == 1
    if not is_updating and not is_meeting:
        if stands > _NAMED_AT * stall_seconds:
            return (
                f"rank {own.rank} on {own.host} stalls after step {step}, for {stands:.0f} s "
                f"(run.stall_seconds), in{_place()}"
            )
    elif own.rank == 0 and stands > max(
        _WAITED_AT * stall_seconds, _NAMED_AT * stall_seconds + _LOOKS
    ):
        if is_updating:
            return (
                f"the ranks are inside the update after step {step} for {stands:.0f} s "
                "(run.stall_seconds): a layer or the all-reduce hangs; Horovod's warning, if there "
                "is one, names the ranks that are missing"
            )
        return (
            f"the ranks wait for one another after step {step} for {stands:.0f} s "
            f"(run.stall_seconds): MPI hangs, in{_place()}"
        )
    return None


def _place() -> str:
    """Return where the main thread is: the innermost places of its stack."""
    frame = sys._current_frames()[threading.main_thread().ident or 0]
    found = traceback.extract_stack(frame)[-3:]
    return ",".join(f" {each.name} ({each.filename}:{each.lineno})" for each in reversed(found))
