"""Connections over TCP between ranks of one run: how they find each other, and their messages.

A host may have a name that others cannot resolve, and addresses that lead elsewhere for them
(loopback, the bridge of its containers). So a rank tries them in turn, and takes the one where the
rank that it wants answers, by a token that only ranks of this run know.
"""

from __future__ import annotations

import fcntl
import secrets
import socket
import struct
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress

# Kinds of messages: beats, one of which also says that the run is to stop, and what ends a
# connection.
BEAT, LEAVING, ENDING, STOPPING = range(4)
BEATS = (BEAT, STOPPING)
_MESSAGE = struct.Struct("!BQ")  # kind, step
_HELLO = struct.Struct("!16sII")  # token of the run, who calls, whom
_WELCOME = b"\1"
_ATTEMPT = 5.0  # seconds to reach one address
_CALL = 20.0  # seconds to reach any
_LOOK = 0.1  # seconds between two looks whether a reception is to close
_SAY = 1.0  # seconds in which a caller says who it is
_GET_ADDRESS = 0x8915  # SIOCGIFADDR of netdevice(7)


class Link:
    """A connection to a peer, over which whole messages go without waiting.

    Attributes:
        has_ended: whether the other side has closed it, or is gone.
    """

    def __init__(self, connection: socket.socket) -> None:
        """Take over a connection."""
        connection.setblocking(False)
        self._connection = connection
        self._unsent = self._taken = b""
        self.has_ended = False

    def fileno(self) -> int:
        """Return the descriptor, to wait for."""
        return self._connection.fileno()

    def send(self, kind: int, step: int) -> None:
        """Send a message, as far as there is room for it; the rest goes with the next one."""
        # What has begun is ended; a whole message that found no room gives way to the newest.
        begun = self._unsent[: len(self._unsent) % _MESSAGE.size]
        self._unsent = begun + _MESSAGE.pack(kind, step)
        with suppress(OSError):  # it is gone, or stopped: its silence will show that
            self._unsent = self._unsent[self._connection.send(self._unsent) :]
            if kind not in BEATS:
                self._connection.shutdown(socket.SHUT_WR)

    def take(self) -> Iterator[tuple[int, int]]:
        """Yield the messages that have arrived, each its kind and step."""
        try:
            sent = self._connection.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            sent = b""
        self.has_ended = not sent
        content = self._taken + sent
        whole = len(content) - len(content) % _MESSAGE.size
        self._taken = content[whole:]
        yield from _MESSAGE.iter_unpack(content[:whole])

    def close(self) -> None:
        """Close it."""
        self._connection.close()


class Reception:
    """A thread that takes the calls of some ranks.

    Attributes:
        port: to call.
    """

    def __init__(self, token: bytes, rank: int, callers: Collection[int], here: bool) -> None:
        """Take calls for ``rank`` from the ``callers``, who know the run's ``token``, 16 bytes.

        ``here`` says whether all of them are on this host.
        """
        self._token, self._rank, self._callers = token, rank, set(callers)
        is_dual = not here and socket.has_dualstack_ipv6()
        self._listener = socket.create_server(
            ("127.0.0.1" if here else "", 0),
            family=socket.AF_INET6 if is_dual else socket.AF_INET,
            backlog=socket.SOMAXCONN,
            dualstack_ipv6=is_dual,
        )
        self.port = int(self._listener.getsockname()[1])
        self._taken: dict[int, socket.socket] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._take_all, name="reception", daemon=True)
        self._thread.start()

    def close(self) -> dict[int, socket.socket]:
        """Take no more calls, and return the connections by rank."""
        self._closing.set()
        self._thread.join()
        self._listener.close()
        return self._taken

    def _take_all(self) -> None:
        """Take calls until all have come, or it is closed."""
        self._listener.settimeout(_LOOK)
        while not self._closing.is_set() and self._callers - set(self._taken):
            with suppress(OSError):  # nobody has called, or who did is gone
                self._take(self._listener.accept()[0])

    def _take(self, connection: socket.socket) -> None:
        """Take a call, if it is from one of the ranks and for this one: anybody may call."""
        try:
            connection.settimeout(_SAY)
            said = connection.recv(_HELLO.size, socket.MSG_WAITALL)
            token, rank, wanted = _HELLO.unpack(said.ljust(_HELLO.size, b"\0"))
            is_right = secrets.compare_digest(token, self._token) and wanted == self._rank
            if is_right and rank in self._callers:
                connection.sendall(_WELCOME)
                earlier = self._taken.pop(rank, None)  # it did not hear the answer
                self._taken[rank] = connection
                if earlier is None:
                    return
                connection = earlier
        except OSError:
            pass
        connection.close()


def connect(
    addresses: Iterable[str], port: int, token: bytes, rank: int, wanted: int
) -> socket.socket | None:
    """Return a connection from ``rank`` to the ``wanted`` one, or None if it cannot be reached.

    Its addresses, names or numbers, are tried in turn; the port is that of its reception.
    """
    end = time.monotonic() + _CALL
    for address in addresses:
        if time.monotonic() > end:
            break
        with suppress(OSError, UnicodeError):  # UnicodeError: a name that no DNS could have
            connection = socket.create_connection((address, port), timeout=_ATTEMPT)
            with suppress(OSError):
                connection.sendall(_HELLO.pack(token, rank, wanted))
                if connection.recv(1) == _WELCOME:
                    return connection
            connection.close()
    return None


def own_addresses() -> list[str]:
    """Return the IPv4 addresses of this host's interfaces, without loopback."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            with suppress(OSError):  # it has none
                answer = fcntl.ioctl(asked, _GET_ADDRESS, struct.pack("256s", name.encode()))
                found.append(socket.inet_ntoa(answer[20:24]))
    return [address for address in found if not address.startswith("127.")]
