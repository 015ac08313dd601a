"""Exchanges between ranks that give up, and name who is missing, instead of waiting forever.

For ``hpcgan doctor``, which must come to its end whatever the others do. A run uses the
collectives of ``World`` instead, and has ``training.heartbeat`` for ranks that do not come.
Each exchange has a number of its own, its tag, so that what arrives late is taken for no other.
"""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np

_PAUSE = 0.001  # seconds between two looks, where time is not measured


class Deadline:
    """Exchanges over the ranks of a communicator, each with the seconds that it may take."""

    def __init__(self, communicator: Any) -> None:
        self._comm = communicator
        self._rank: int = communicator.Get_rank()
        self._size: int = communicator.Get_size()
        self._given_up: list[Any] = []  # MPI may still write to what was given up

    def gather(self, value: Any, seconds: float, tag: int) -> list[Any]:
        """Send ``value``, which JSON can hold, to rank 0.

        All ranks should call it; rank 0 waits so long for those that do not. It returns on rank 0
        the values by rank, None for those that did not come; elsewhere [].
        """
        end = time.monotonic() + seconds
        if self._rank:
            self._send(value, 0, end, tag)
            return []
        values: list[Any] = [None] * self._size
        values[0] = value
        lengths = np.zeros(self._size, np.int64)
        texts: dict[int, np.ndarray] = {}
        waiting = {
            rank: self._comm.Irecv(lengths[rank : rank + 1], rank, tag)
            for rank in range(1, self._size)
        }
        while waiting and time.monotonic() < end:
            for rank, request in list(waiting.items()):
                if not request.Test():
                    continue
                if rank in texts:
                    values[rank] = json.loads(texts[rank].tobytes())
                    del waiting[rank]
                else:
                    texts[rank] = np.empty(int(lengths[rank]), np.uint8)
                    waiting[rank] = self._comm.Irecv(texts[rank], rank, tag)
            time.sleep(_PAUSE)
        self._given_up += [lengths, texts, waiting]
        return values

    def broadcast(self, value: Any, seconds: float, tag: int) -> Any:
        """Give all ranks rank 0's ``value``, which JSON can hold and is not None.

        All ranks should call it. It returns the value; None if rank 0 did not come in time.
        """
        end = time.monotonic() + seconds
        if self._rank == 0:
            for rank in range(1, self._size):
                self._send(value, rank, end, tag)
            return value
        length = np.zeros(1, np.int64)
        if not self._is_done(self._comm.Irecv(length, 0, tag), length, end):
            return None
        text = np.empty(int(length[0]), np.uint8)
        if not self._is_done(self._comm.Irecv(text, 0, tag), text, end):
            return None
        return json.loads(text.tobytes())

    def sum(self, array: np.ndarray, seconds: float) -> np.ndarray | None:
        """Return the sum of all ranks' ``array``, or None if it has not come in time.

        All ranks should call it, with arrays of one shape and dtype. It is an all-reduce, and
        waits without a pause, so that it can be timed.
        """
        total = np.empty_like(array)
        request = self._comm.Iallreduce(array, total)
        end = time.monotonic() + seconds
        return total if self._is_done(request, [array, total], end, pause=0) else None

    def swap(self, array: np.ndarray, other: int, seconds: float, tag: int) -> bool:
        """Send ``array`` to a rank and take as much from it; return whether both came in time.

        Both ranks should call it. It waits without a pause, so that it can be timed.
        """
        arrived = np.empty_like(array)
        end = time.monotonic() + seconds
        requests = [self._comm.Irecv(arrived, other, tag), self._comm.Isend(array, other, tag)]
        return all(self._is_done(each, [array, arrived], end, pause=0) for each in requests)

    def _send(self, value: Any, to: int, end: float, tag: int) -> None:
        """Send a value, in two messages that arrive in this order: its length and its text."""
        text = np.frombuffer(json.dumps(value).encode(), np.uint8)
        for each in (np.array([text.size], np.int64), text):
            self._is_done(self._comm.Isend(each, to, tag), each, end)

    def _is_done(self, request: Any, buffers: Any, end: float, pause: float = _PAUSE) -> bool:
        """Wait for a request to end; return whether it did."""
        while not request.Test():
            if time.monotonic() > end:
                self._given_up.append((request, buffers))
                return False
            if pause:
                time.sleep(pause)
        return True
