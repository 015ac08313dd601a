"""Ranks that watch one another, so that one that dies or stalls ends the run, and is named.

A collective waits for ever for a rank that is gone. So every rank has a watchdog: a thread that
sends its peers in a tree, each second over TCP, a message that it is there. The system closes the
connections of a process that dies, at once; a process that is stopped sends nothing more; and the
thread of one that hangs sees that itself. A rank that sees any of this prints it and ends all.
"""

from __future__ import annotations

import os
import secrets
import selectors
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from hpcgan.training.callback import Call, Callback
from hpcgan.training.diagnosis import OwnState, PeerState, diagnose
from hpcgan.training.links import (
    BEAT,
    BEATS,
    ENDING,
    LEAVING,
    STOPPING,
    Link,
    Reception,
    connect,
    own_addresses,
)
from hpcgan.training.stop import Request
from hpcgan.world import World

_FAN_OUT = 32  # ranks below one in the tree: few connections each, few levels
_BEAT = 1.0  # seconds between two messages
_PAUSE = 10.0  # seconds without a turn of this thread: the process itself was stopped
_LEAVE = 2.0  # seconds in which the peers take note that a rank leaves
_ENDED = 5.0  # seconds that a launcher has to end a rank, when another one ends them all
# A launcher that ends the ranks sends SIGTERM first: who dies soon after it is not to diagnose.
_ENDING = 2.0


class Heartbeat(Callback):
    """This rank's messages to its peers, and the watch over theirs."""

    def __init__(
        self,
        world: World,
        stall_seconds: float,
        request: Request | None = None,
        fan_out: int = _FAN_OUT,
    ) -> None:
        """Connect to the peers. All ranks must call it.

        Args:
            world: the ranks.
            stall_seconds: within which each must make progress.
            request: a wish to stop, which travels with the messages to ranks that have no step in
                common with this one; None where all learn of it in the same step.
            fan_out: the number of ranks below one in the tree.
        """
        self._request = request
        self._world = world
        self._stall_seconds = stall_seconds
        self._fan_out = fan_out
        self._own = OwnState(world.rank, world.host, time.monotonic())
        self._launcher = os.getppid()
        self._calls = self._step = 0
        self._links: dict[Link, PeerState] = {}
        self._ending_since = -_ENDING
        self._ended_at: float | None = None
        self._leaving = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        for end in (self._woken, self._waker):
            end.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._connect()
        self._thread = threading.Thread(target=self._watch, name="heartbeat", daemon=True)

    @property
    def neighbours(self) -> list[int]:
        """The ranks that this one watches, and is watched by."""
        return sorted(each.rank for each in self._links.values())

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Send and watch while inside. It is no collective: a rank may leave before the others."""
        before = signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        self._thread.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            self._leaving.set()
            with suppress(BlockingIOError):
                self._waker.send(b"\0")
            self._thread.join()

    def before_call(self, first: int) -> None:
        """Note that a call begins after ``first`` steps."""
        self._step = first
        self._calls += 1

    def after_call(self, call: Call) -> None:
        """Note that the call has ended."""
        self._calls += 1

    # --- the connections -----------------------------------------------------------------------

    def _connect(self) -> None:
        """Connect each rank with its parent in the tree. All ranks must call it."""
        world = self._world
        token = bytes.fromhex(world.broadcast_json(secrets.token_hex(16)))
        parent = parent_of(world.rank, self._fan_out)
        below = [
            rank for rank in range(1, world.size) if parent_of(rank, self._fan_out) == world.rank
        ]
        is_one_node = world.node_size == world.size
        reception = Reception(token, world.rank, below, is_one_node) if below else None
        addresses = ["127.0.0.1"] if is_one_node else [world.host, *own_addresses()]
        places = world.gather_json([reception.port if reception else 0, addresses])
        above: socket.socket | None = None
        if world.rank:
            port, addresses = places[parent]
            here = ["127.0.0.1"] if parent in world.node_ranks else []
            above = connect([*here, *addresses], port, token, world.rank, parent)
        is_missing = world.gather_json(world.rank > 0 and above is None)
        taken = reception.close() if reception else {}  # who was answered knows it by now
        if above:
            self._add(parent, above)
        for rank, connection in taken.items():
            if is_missing[rank]:
                connection.close()
            else:
                self._add(rank, connection)
        if any(is_missing) and world.is_root:
            self._warn(is_missing.index(True), sum(is_missing), places)

    def _add(self, rank: int, connection: socket.socket) -> None:
        link = Link(connection)
        self._selector.register(link, selectors.EVENT_READ)
        self._links[link] = PeerState(rank, self._world.hosts[rank], heard=time.monotonic())

    def _warn(self, rank: int, number: int, places: list[list]) -> None:
        """Print that ranks cannot reach the one above them; ``rank`` is the first of them."""
        hosts, above = self._world.hosts, parent_of(rank, self._fan_out)
        port, addresses = places[above]
        print(
            f"hpcgan: warning: rank {rank} on {hosts[rank]} cannot reach rank {above} on "
            f"{hosts[above]} over TCP ({number} ranks cannot), neither at "
            f"{' nor at '.join(addresses)}, port {port}: if it stalls, nobody will see it; allow "
            "connections between the nodes, or have their names resolved",
            flush=True,
        )

    # --- the thread ----------------------------------------------------------------------------

    def _watch(self) -> None:
        """Send, receive and evaluate until this rank leaves."""
        next_beat = last_turn = time.monotonic()
        while not self._leaving.is_set():
            if time.monotonic() >= next_beat:
                next_beat = time.monotonic() + _BEAT
                wishes = self._request is not None and self._request.is_made()
                self._send(STOPPING if wishes else BEAT)
            self._receive(max(0.0, next_beat - time.monotonic()))
            now = time.monotonic()
            if now - last_turn > _PAUSE:  # a job that was suspended and goes on has not stalled
                self._own.moved = now
                for each in self._links.values():
                    each.heard = now
            last_turn = now
            self._evaluate(now)
        self._send(LEAVING)
        end = time.monotonic() + _LEAVE
        while self._links and time.monotonic() < end:
            self._receive(0.1)

    def _send(self, kind: int) -> None:
        """Send all peers how far this rank has come."""
        for link in self._links:
            link.send(kind, self._step)

    def _receive(self, seconds: float) -> None:
        """Wait for messages for ``seconds`` at most, and take all there are."""
        for key, _ in self._selector.select(seconds):
            if isinstance(key.fileobj, Link):
                self._take(key.fileobj)
            elif signal.SIGTERM in self._woken.recv(4096):
                self._ending_since = time.monotonic()

    def _take(self, link: Link) -> None:
        """Take what a peer has sent."""
        each = self._links[link]
        for kind, each.step in link.take():
            each.heard = time.monotonic()
            if kind == ENDING and self._ended_at is None:
                self._ended_at = each.heard + _ENDED
                self._send(ENDING)
            if kind == STOPPING and self._request:
                self._request.take(f"a wish of other ranks, through rank {each.rank}")
            if kind not in BEATS:
                self._drop(link)
                return
        if link.has_ended and self._leaving.is_set():
            self._drop(link)
        elif link.has_ended:
            each.is_gone = True
            self._selector.unregister(link)

    def _drop(self, link: Link) -> None:
        """Forget a peer that has left."""
        self._selector.unregister(link)
        del self._links[link]
        link.close()

    def _evaluate(self, now: float) -> None:
        """End all ranks if something is wrong."""
        self._own.note(self._calls, self._world.meetings, self._step, now)
        others = list(self._links.values())
        if self._world.size > 1 and os.getppid() != self._launcher:
            why: str | None = f"what started rank {self._own.rank} on {self._own.host} is gone"
        elif self._ended_at is None:
            why = diagnose(self._own, others, self._stall_seconds, now)
        elif now < self._ended_at:
            return
        else:  # another rank has printed why, and the launcher has not ended this one
            self._world.abort(1)
        if why is None or now - self._ending_since < _ENDING or self._leaving.is_set():
            return
        if any(each.rank < self._own.rank and each.is_gone for each in others):
            # Others see it too: the one above it prints it, or the first one below.
            time.sleep(turn_of(self._own.rank, self._fan_out))
        self._send(ENDING)  # the others need not print that this one died
        self._world.abort(
            1,
            f"hpcgan: {why}; all ranks end, and the same command goes on from the newest "
            "checkpoint\n",
        )


def parent_of(rank: int, fan_out: int = _FAN_OUT) -> int:
    """Return the rank above one in the tree; rank 0 has none."""
    return (rank - 1) // fan_out


def turn_of(rank: int, fan_out: int = _FAN_OUT) -> float:
    """Return the seconds that a rank leaves the others to print that its parent died."""
    return min(6.0, 2.0 * ((rank - 1) % fan_out) + (2.0 if parent_of(rank, fan_out) else 0.0))
