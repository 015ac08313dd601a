"""A wire with a delay: frames that come to one port leave by the other some time later.

    python benchmarks/wire.py SECONDS PORT PORT

``benchmarks.two_hosts`` starts it in a network namespace that holds the two ports. Frames are
taken with the header in which the kernel notes what of checksums and segments is still to do, so
that it may pass large ones through, and the rest is done by whoever gets them.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from collections import deque
from contextlib import suppress

# Of linux/if_ether.h, linux/if_packet.h and asm-generic/socket.h, that Python does not name.
_ALL_PROTOCOLS = 3
_SOL_PACKET, _IGNORE_OUTGOING, _VNET_HDR = 263, 23, 15
_FORCED_SIZES = 32, 33
_LARGEST = 1 << 17
_BUFFER = 16 << 20
_AT_ONCE = 64


def main() -> None:
    """Pass frames on until the end of the process."""
    delay = float(sys.argv[1])
    ports = [open_port(name) for name in sys.argv[2:]]
    # Frames must not wait for the ranks' turns on the cores.
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    print("ready", flush=True)
    carry(ports, delay)


def open_port(name: str) -> socket.socket:
    """Return a socket of all frames that come to a device."""
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    port.setblocking(False)
    for option, value in ((_IGNORE_OUTGOING, 1), (_VNET_HDR, 1)):
        port.setsockopt(_SOL_PACKET, option, value)
    for option in _FORCED_SIZES:
        port.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
    port.bind((name, _ALL_PROTOCOLS))
    return port


def carry(ports: list[socket.socket], delay: float) -> None:
    """Give each frame to the other port ``delay`` seconds after it came."""
    waiting: deque[tuple[float, socket.socket, bytes]] = deque()
    other = dict(zip(ports, reversed(ports), strict=True))
    while True:
        timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        for port in select.select(ports, [], [], timeout)[0]:
            with suppress(BlockingIOError):
                for _ in range(_AT_ONCE):
                    frame = port.recv(_LARGEST)
                    waiting.append((time.monotonic() + delay, other[port], frame))
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, port, frame = waiting.popleft()
            with suppress(BlockingIOError):  # as a full wire drops frames
                port.send(frame)


if __name__ == "__main__":
    main()
