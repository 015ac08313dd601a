"""Ranks that watch one another, so that one that dies or stalls ends the run, and is named.

A collective waits for ever for a rank that is gone. So every rank has a thread that tells its
neighbours in a tree, each second over TCP, how far it has come. The system closes the connections
of a process that dies, at once; a process that is stopped says nothing more; and the thread of one
that hangs sees that itself. Who sees any of this says so and ends all ranks.
"""

from __future__ import annotations

import os
import secrets
import selectors
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from hpcgan.training.pulse import Pulse, blame
from hpcgan.world import World

_BEAT = 1.0  # seconds between two messages
_FAN_OUT = 32  # ranks below one in the tree: few connections each, few levels
_CONNECT = 20.0  # seconds
_PAUSE = 10.0  # seconds without a turn of this thread: the process itself was stopped
_ABORT = 5.0  # seconds after which this rank ends alone
_LEAVE = 2.0  # seconds in which the neighbours take note that a rank leaves
# A launcher that ends the ranks sends SIGTERM first: who dies soon after it is not to blame.
_ENDING = 2.0
_HELLO = struct.Struct("!16sI")  # token of the run, rank
_MESSAGE = struct.Struct("!?QQ")  # whether it is the last one, moves, step


class Heartbeat:
    """This rank's pulse, told to its neighbours; and theirs, watched."""

    def __init__(self, world: World, stall_seconds: float) -> None:
        """Connect to the neighbours. All ranks must call it."""
        self._world = world
        self._stall_seconds = stall_seconds
        self._own = Pulse(world.rank, world.host)
        self._launcher = os.getppid()
        self._moves = self._step = 0
        self._neighbours: dict[socket.socket, Pulse] = {}
        self._pending: dict[socket.socket, bytes] = {}
        self._ending_since = -_ENDING
        self._leaving = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        for end in (self._woken, self._waker):
            end.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._connect()
        self._thread = threading.Thread(target=self._watch, name="heartbeat", daemon=True)

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Tell and watch while inside. It is no collective: a rank may leave before the others."""
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

    @contextmanager
    def updating(self, step: int) -> Iterator[None]:
        """Note that a call of the update begins after ``step`` updates, and that it ends."""
        self._step = step
        self._moves += 1
        yield
        self._moves += 1

    # --- the connections -----------------------------------------------------------------------

    def _connect(self) -> None:
        """Connect each rank with its parent in the tree. All ranks must call it."""
        world = self._world
        token = bytes.fromhex(world.broadcast_json(secrets.token_hex(16)))
        children = [rank for rank in range(world.size) if rank and parent_of(rank) == world.rank]
        listener = _listen(world.node_size == world.size) if children else None
        port = listener.getsockname()[1] if listener else 0
        places = world.gather_json([world.host, port])
        link: socket.socket | None = None
        if world.rank:
            link = _call(places[parent_of(world.rank)], world.host, token, world.rank)
        missing = [
            rank for rank, fails in enumerate(world.gather_json(_fails(world, link))) if fails
        ]
        now = time.monotonic()
        if link:
            parent = parent_of(world.rank)
            self._add(link, Pulse(parent, places[parent][0], heard=now))
        if listener:
            self._accept(listener, token, set(children) - set(missing), places)
        if missing and world.is_root:
            print(
                f"hpcgan: warning: rank {missing[0]} on {places[missing[0]][0]} cannot be reached "
                f"over TCP ({len(missing)} ranks cannot): if it stalls, nobody will see it",
                flush=True,
            )

    def _accept(
        self, listener: socket.socket, token: bytes, expected: set[int], places: list[Any]
    ) -> None:
        """Take the connections of the children, which have been made already."""
        listener.settimeout(_CONNECT)
        with listener, suppress(TimeoutError):
            while expected:
                link, _ = listener.accept()
                rank = _greeted(link, token)
                if rank in expected:
                    expected.remove(rank)
                    self._add(link, Pulse(rank, places[rank][0], heard=time.monotonic()))
                else:
                    link.close()

    def _add(self, link: socket.socket, pulse: Pulse) -> None:
        link.setblocking(False)
        self._selector.register(link, selectors.EVENT_READ)
        self._neighbours[link] = pulse
        self._pending[link] = b""

    # --- the thread ----------------------------------------------------------------------------

    def _watch(self) -> None:
        """Tell, hear and judge until this rank leaves."""
        next_beat = last_turn = time.monotonic()
        while not self._leaving.is_set():
            if time.monotonic() >= next_beat:
                next_beat = time.monotonic() + _BEAT
                self._tell(is_last=False)
            self._hear(max(0.0, next_beat - time.monotonic()))
            now = time.monotonic()
            if now - last_turn > _PAUSE:
                self._forgive(now)
            last_turn = now
            self._judge()
        self._tell(is_last=True)
        end = time.monotonic() + _LEAVE
        while self._neighbours and time.monotonic() < end:
            self._hear(0.1)

    def _forgive(self, now: float) -> None:
        """Count from ``now`` on: a job that was suspended, and goes on, has not stalled."""
        for pulse in [self._own, *self._neighbours.values()]:
            pulse.heard = pulse.moved = now

    def _tell(self, is_last: bool) -> None:
        """Tell all neighbours how far this rank has come."""
        self._own.hear(self._moves, self._step, time.monotonic())
        message = _MESSAGE.pack(is_last, self._own.moves, self._own.step)
        for link in self._neighbours:
            with suppress(OSError):  # it is gone, or stopped: what it does not send tells that
                link.send(message)
                if is_last:
                    link.shutdown(socket.SHUT_WR)

    def _hear(self, seconds: float) -> None:
        """Wait for news so long at most, and take all there are."""
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._woken:
                if signal.SIGTERM in self._woken.recv(4096):
                    self._ending_since = time.monotonic()
            else:
                assert isinstance(key.fileobj, socket.socket)
                self._read(key.fileobj)

    def _read(self, link: socket.socket) -> None:
        """Take what a neighbour has sent."""
        try:
            sent = link.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            sent = b""
        pulse = self._neighbours[link]
        content = self._pending[link] + sent
        while len(content) >= _MESSAGE.size:
            is_last, moves, step = _MESSAGE.unpack_from(content)
            content = content[_MESSAGE.size :]
            pulse.hear(moves, step, time.monotonic())
            if is_last:
                self._drop(link)
                return
        self._pending[link] = content
        if sent:
            return
        if self._leaving.is_set():
            self._drop(link)
        else:
            pulse.is_gone = True
            self._selector.unregister(link)

    def _drop(self, link: socket.socket) -> None:
        """Forget a neighbour that has left."""
        self._selector.unregister(link)
        del self._neighbours[link], self._pending[link]
        link.close()

    def _judge(self) -> None:
        """End all ranks if something is wrong."""
        now = time.monotonic()
        self._own.hear(self._moves, self._step, now)
        why = blame(self._own, list(self._neighbours.values()), self._stall_seconds, now)
        if self._world.size > 1 and os.getppid() != self._launcher:
            why = f"what started rank {self._own.rank} on {self._own.host} is gone"
        if why is None or now - self._ending_since < _ENDING or self._leaving.is_set():
            return
        if any(each.rank < self._own.rank and each.is_gone for each in self._neighbours.values()):
            # Others see it too: the one above it speaks, or the first one below.
            time.sleep(_turn(self._own.rank))
        self._end(why)

    def _end(self, why: str) -> None:
        """Say why and end all ranks."""
        with suppress(OSError):  # who listened may be gone too
            sys.stderr.write(
                f"hpcgan: {why}; all ranks end, and the same command goes on from the newest "
                "checkpoint\n"
            )
            sys.stderr.flush()
        self._tell(is_last=True)  # the others need not say that this one died
        # Without its launcher MPI cannot end the others, and may never return.
        end = threading.Timer(_ABORT, os._exit, (1,))
        end.daemon = True
        end.start()
        self._world.abort(1)


def parent_of(rank: int) -> int:
    """Return the rank above one in the tree; rank 0 has none."""
    return (rank - 1) // _FAN_OUT


def _turn(rank: int) -> float:
    """Return the seconds that a rank leaves the others to tell that its parent died."""
    return min(6.0, 2.0 * ((rank - 1) % _FAN_OUT) + (2.0 if parent_of(rank) else 0.0))


def _fails(world: World, link: socket.socket | None) -> bool:
    """Return whether this rank should have a link to its parent and has none."""
    return world.rank > 0 and link is None


def _listen(on_one_node: bool) -> socket.socket:
    """Return a socket that the ranks below can call."""
    if on_one_node:
        return socket.create_server(("127.0.0.1", 0), backlog=_FAN_OUT)
    if socket.has_dualstack_ipv6():
        return socket.create_server(
            ("", 0), family=socket.AF_INET6, backlog=_FAN_OUT, dualstack_ipv6=True
        )
    return socket.create_server(("", 0), backlog=_FAN_OUT)


def _greeted(link: socket.socket, token: bytes) -> int | None:
    """Return the rank that calls; None if it is none of this run: anybody may call."""
    link.settimeout(_BEAT)
    try:
        said = link.recv(_HELLO.size, socket.MSG_WAITALL)
    except OSError:
        return None
    if len(said) < _HELLO.size or not secrets.compare_digest(said[: len(token)], token):
        return None
    return int(_HELLO.unpack(said)[1])


def _call(place: list[Any], host: str, token: bytes, rank: int) -> socket.socket | None:
    """Return a connection to the rank at ``place``, (host, port); None if it cannot be reached."""
    their_host, port = place
    address = "127.0.0.1" if their_host == host else their_host
    try:
        link = socket.create_connection((address, port), timeout=_CONNECT)
        link.sendall(_HELLO.pack(token, rank))
    except OSError:
        return None
    return link
