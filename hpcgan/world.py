"""The ranks: who they are, how they talk and how they end. The only user of mpi4py.

MPI starts and ends the run, agrees on errors and moves checkpoints. What moves the gradients is
``ring``.

A collective is a call that returns only when every rank has made it. Here those are all public
methods of ``World`` but ``abort``, ``mpi`` and ``with_deadline``. A rank that waits for others
inside one counts that in ``meetings``.
"""

from __future__ import annotations

import functools
import json
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Concatenate, NoReturn, ParamSpec, TypeVar

import numpy as np

from hpcgan import errors
from hpcgan.deadline import Deadline
from hpcgan.ending import end_process

T = TypeVar("T")
P = ParamSpec("P")

_ASLEEP = 0.2  # seconds between two looks for the others
_QUESTIONS = 20  # that a rank asks rank 0 to compare their clocks
_CLOCK_TAG = 32000  # of these messages: no exchange with a deadline has it
_ARRAY_TAG = 32001

# MPI counts in 32 bits what a message holds: larger arrays go in pieces.
MESSAGE_BYTES = 2**30

# What MPI and Horovod read once, when MPI starts.
ENVIRONMENT = {
    # Horovod's background thread makes a small MPI_Allreduce every cycle, in which Open MPI
    # busy-waits. With a core a rank that takes the core from the computation: yield instead.
    "OMPI_MCA_mpi_yield_when_idle": "1",
    # Our one flat tensor needs no fusion buffer to be copied through.
    "HOROVOD_FUSION_THRESHOLD": "0",
    # Open MPI would have large messages over TCP fetched by requests, which wait behind the data
    # that go the other way: over 200 Mbit/s an all-reduce then takes up to half as long again.
    "OMPI_MCA_btl_tcp_flags": "send,inplace",
    # Between ranks of one host, to copy through shared memory takes less time than to have the
    # kernel copy from one process to the other, from 64 KiB to 4 MiB by up to a half.
    "OMPI_MCA_smsc": "^cma",
    # And larger pieces mean fewer notes from one to the other: 128 KiB instead of 32.
    "OMPI_MCA_btl_sm_max_send_size": "131072",
    # Shared windows do not need it, and without its hardware it prints a warning a rank.
    "OMPI_MCA_osc": "^ucx",
}


def _meeting(
    collective: Callable[Concatenate[World, P], T],
) -> Callable[Concatenate[World, P], T]:
    """Count that a rank enters and leaves a method in which it waits for others."""

    @functools.wraps(collective)
    def counted(world: World, *args: P.args, **kwargs: P.kwargs) -> T:
        world.meetings += 1
        try:
            return collective(world, *args, **kwargs)
        finally:
            world.meetings += 1

    return counted


class World:
    """All ranks of this run, as one of them sees them.

    Attributes:
        rank: this process's number, 0 to size - 1.
        size: the number of ranks.
        node_rank: this process's number among the ranks of its node.
        node_size: the number of ranks on this node.
        node_ranks: the ranks of this node, ascending.
        cores: processor cores that this rank can count on without taking another rank's.
        shares_cores: whether some node has more ranks than cores that they may use.
        host: the name of this rank's node.
        hosts: those of all ranks.
        progress: how far this rank has come, for what is said when it fails.
        meetings: how often it has entered or left a collective: odd inside one.
    """

    def __init__(self) -> None:
        """Start MPI. All ranks must make their ``World``, once."""
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)  # what the user has set stays
        from mpi4py import MPI

        self._comm = MPI.COMM_WORLD
        self._abort: Any = MPI.COMM_WORLD.Abort
        self._windows: list[Any] = []
        self.meetings = 0
        self.rank: int = self._comm.Get_rank()
        self.size: int = self._comm.Get_size()
        node = self._comm.Split_type(MPI.COMM_TYPE_SHARED)
        self.node_rank: int = node.Get_rank()
        self.node_size: int = node.Get_size()
        ranks = np.empty(self.node_size, np.int64)
        node.Allgather(np.array([self.rank], np.int64), ranks)
        self.node_ranks: list[int] = ranks.tolist()
        self._node: Any = node
        self._allocate_shared = MPI.Win.Allocate_shared
        self.host = socket.gethostname()
        shared = self._node_cores()
        # Its own when it is bound, else an equal part of the node's.
        self.cores = max(1, min(len(os.sched_getaffinity(0)), shared // self.node_size))
        facts = self.gather_json([self.host, self.node_size > shared])
        self.hosts: list[str] = [host for host, _ in facts]
        self.shares_cores = any(is_short for _, is_short in facts)
        self.progress = "at its start"
        sys.excepthook = lambda kind, error, trace: self._fail(error)
        threading.excepthook = lambda failed: self._fail(failed.exc_value)

    @property
    def is_root(self) -> bool:
        """Whether this is rank 0, which alone writes and prints."""
        return self.rank == 0

    def together(self, function: Callable[[], T]) -> T:
        """Call ``function`` on every rank; if any raises a user error, raise that one on all.

        All ranks must call it, and ``function`` must contain no collective.

        Returns:
            What ``function`` returned on this rank.

        Raises:
            UserError: the failing rank's; of several, the lowest rank's. The rank is named when
                some ranks failed and others did not.
        """
        result: Any = None
        failure: dict[str, str] | None = None
        try:
            result = function()
        except errors.UserError as error:
            failure = {"kind": type(error).__name__, "message": str(error)}
        failures = self.gather_json(failure)
        failed = [rank for rank, each in enumerate(failures) if each is not None]
        if not failed:
            return result
        first = failures[failed[0]]
        message = first["message"]
        if len(failed) < self.size:
            message = f"rank {failed[0]} of {self.size}: {message}"
        raise _agreed(first["kind"], message)

    def on_root(self, function: Callable[[], Any]) -> Any:
        """Call ``function`` on rank 0 alone and return its result on all ranks.

        All ranks must call it, and ``function`` must contain no collective. The result must be
        what JSON can hold. A user error of rank 0 is raised on all ranks.
        """
        result = error = None
        if self.is_root:
            try:
                result = function()
            except errors.UserError as raised:
                error = raised
        failure = self.broadcast_json([type(error).__name__, str(error)] if error else None)
        if failure:
            raise _agreed(*failure)
        return self.broadcast_json(result)

    @_meeting
    def broadcast_json(self, value: Any) -> Any:
        """Give all ranks what rank 0 holds in ``value``. All ranks must call it."""
        text = json.dumps(value).encode() if self.is_root else b""
        length = np.array([len(text)], np.int64)
        self._comm.Bcast(length)
        buffer = np.frombuffer(text, np.uint8) if self.is_root else np.empty(length[0], np.uint8)
        self._broadcast(buffer, 0)
        return value if self.is_root else json.loads(buffer.tobytes())

    @_meeting
    def gather_json(self, value: Any) -> list[Any]:
        """Give all ranks the list of every rank's ``value``, by rank. All ranks must call it."""
        text = np.frombuffer(json.dumps(value).encode(), np.uint8)
        lengths = np.empty(self.size, np.int64)
        self._comm.Allgather(np.array([text.size], np.int64), lengths)
        texts = np.empty(int(lengths.sum()), np.uint8)
        ends = np.cumsum(lengths)
        if texts.size <= MESSAGE_BYTES:
            self._comm.Allgatherv(text, [texts, lengths])
        else:
            texts[ends[self.rank] - text.size : ends[self.rank]] = text
            for rank, (end, length) in enumerate(zip(ends, lengths, strict=True)):
                self._broadcast(texts[end - length : end], rank)
        return [
            json.loads(texts[end - length : end].tobytes())
            for end, length in zip(ends, lengths, strict=True)
        ]

    @_meeting
    def broadcast_array(self, array: np.ndarray) -> np.ndarray:
        """Give all ranks rank 0's ``array``.

        All ranks must call it, with arrays of one shape and dtype; the content matters on rank 0
        alone and is not changed.
        """
        buffer = np.array(array, copy=True, order="C")
        self._broadcast(buffer, 0)
        return buffer

    def _broadcast(self, buffer: np.ndarray, root: int) -> None:
        """Give all ranks ``root``'s ``buffer``; they have one size. All ranks must call it."""
        for piece in _pieces(buffer):
            self._comm.Bcast(piece, root)

    @_meeting
    def gather_arrays(self, array: np.ndarray) -> np.ndarray | None:
        """Give rank 0 every rank's ``array``, joined along the first axis; others get None.

        All ranks must call it, with arrays that agree in dtype and in all axes but the first.
        """
        arrays = list(self.arrays_in_turn(array))
        return np.concatenate(arrays) if self.is_root else None

    def arrays_in_turn(self, array: np.ndarray) -> Iterator[np.ndarray]:
        """Give rank 0 every rank's ``array``, one after the other by rank; others get none.

        Rank 0 holds no more than one of the others' at a time. All ranks must call it, with
        arrays that agree in dtype and in all axes but the first, and take all that it gives: the
        others, too, send nothing before. It counts no meeting, since rank 0 works in between.
        """
        array = np.ascontiguousarray(array)
        length = np.array([len(array)], np.int64)
        if not self.is_root:
            for piece in (length, *_pieces(array)):
                self._comm.Send(piece, 0, _ARRAY_TAG)
            return
        yield array
        for rank in range(1, self.size):
            self._comm.Recv(length, rank, _ARRAY_TAG)
            other = np.empty((int(length[0]), *array.shape[1:]), array.dtype)
            for piece in _pieces(other):
                self._comm.Recv(piece, rank, _ARRAY_TAG)
            yield other

    @_meeting
    def node_array(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """Return an array that all ranks of this node share: one piece of memory, not yet filled.

        All ranks of the node must call it, with the same shape and dtype. What one writes, the
        others see after the next collective. The memory stays until the ranks end.
        """
        item = np.dtype(dtype).itemsize
        size = int(np.prod(shape)) * item
        window = self._allocate_shared(size if self.node_rank == 0 else 0, item, comm=self._node)
        self._windows.append(window)
        memory: Any = window.Shared_query(0)[0]
        return np.frombuffer(memory, dtype, count=size // item).reshape(shape)

    @_meeting
    def barrier(self) -> None:
        """Wait until all ranks are here. All ranks must call it."""
        self._comm.Barrier()

    @_meeting
    def clock_offset(self, clock: Callable[[], float] = time.time) -> float:
        """Return the seconds to add to this rank's clock for rank 0's.

        Each rank asks rank 0 for the time, again and again. The question that is answered soonest
        counts; its answer is wrong by half of the time that it took at most (F. Cristian,
        Probabilistic clock synchronization, Distributed Computing 3, 1989). All ranks must call
        it.
        """
        answer = np.empty(1)
        if self.is_root:
            for rank in range(1, self.size):
                for _ in range(_QUESTIONS):
                    self._comm.Recv(answer, rank, _CLOCK_TAG)
                    answer[0] = clock()
                    self._comm.Send(answer, rank, _CLOCK_TAG)
            return 0.0
        found = []
        for _ in range(_QUESTIONS):
            asked = clock()
            self._comm.Send(answer, 0, _CLOCK_TAG)
            self._comm.Recv(answer, 0, _CLOCK_TAG)
            answered = clock()
            found.append((answered - asked, float(answer[0]) - (asked + answered) / 2))
        return min(found)[1]

    @_meeting
    def wait_asleep(self) -> None:
        """Wait until all ranks are here, for hours if need be, without using a core.

        All ranks must call it.
        """
        arrived = self._comm.Ibarrier()
        while not arrived.Test():
            time.sleep(_ASLEEP)

    def with_deadline(self) -> Deadline:
        """Return exchanges that give up instead of waiting for ever, as ``hpcgan doctor`` must."""
        return Deadline(self._comm)

    def mpi(self) -> dict[str, str]:
        """Return the MPI that mpi4py was ``built`` for and the one that is ``loaded``, in words."""
        from mpi4py import MPI

        name, numbers = MPI.get_vendor()
        built = f"{name} {'.'.join(map(str, numbers))}"
        return {"built": built, "loaded": MPI.Get_library_version().strip("\0 \n")}

    def abort(self, status: int, last_words: str = "", descriptor: int = 2) -> NoReturn:
        """Say something and end all ranks at once with ``status``.

        One rank calls it; it does not return. Whatever it waits for, pipes that nobody reads or
        MPI, after some seconds this process ends, and the launcher the others.

        Args:
            status: of all ranks.
            last_words: what is written.
            descriptor: where to, stderr or stdout.
        """
        # Alone, MPI has nobody to end, and would have a word of its own.
        end_others = os._exit if self.size == 1 else self._abort
        end_process(lambda: end_others(status), last_words, descriptor)

    def _fail(self, error: BaseException | None) -> NoReturn:
        """Print a bug's traceback and end all ranks: the others may wait for this one for ever."""
        text = "".join(traceback.format_exception(error))
        self.abort(
            1,
            f"hpcgan: rank {self.rank} of {self.size} on {self.host} failed {self.progress}:\n"
            f"{text}",
        )

    def _node_cores(self) -> int:
        """Return the processor cores that the ranks of this node may use together.

        All ranks of the node must call it.
        """
        own = sorted(os.sched_getaffinity(0))
        counts = np.empty(self.node_size, np.int64)
        self._node.Allgather(np.array([len(own)], np.int64), counts)
        cores = np.empty(int(counts.sum()), np.int64)
        self._node.Allgatherv(np.array(own, np.int64), [cores, counts])
        return len(np.unique(cores))


def _pieces(array: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the bytes of an array in one piece of memory, as many as a message can hold each."""
    content = array.reshape(-1).view(np.uint8)
    for begin in range(0, len(content), MESSAGE_BYTES):
        yield content[begin : begin + MESSAGE_BYTES]


def _agreed(kind: str, message: str) -> errors.UserError:
    """Return a user error that every rank raises."""
    error: errors.UserError = getattr(errors, kind)(message)
    error.agreed = True
    return error
