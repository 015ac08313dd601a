"""A group of ranks, and what its ranks do together on the host: the collectives.

Inside the compiled steps ranks meet by other means (``ring``). With ``world``, the only user of
mpi4py.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from hpcgan import errors

T = TypeVar("T")
P = ParamSpec("P")

# Of the messages of ``arrays_in_turn``, ``around`` and ``pass_arrays``: nothing else has them.
_ARRAY_TAG, _RING_TAG, _PASSED_TAG = 32001, 32002, 32003
_ALARM_TAG = 32004  # of those of ``Alarm``

# MPI counts in 32 bits what a message holds: larger arrays go in pieces.
MESSAGE_BYTES = 2**30


class Meetings:
    """How often this process has entered or left a collective of any group: odd inside one."""

    count = 0


def meeting(
    collective: Callable[Concatenate[Any, P], T],
) -> Callable[Concatenate[Any, P], T]:
    """Count that a rank enters and leaves a method of a group in which it waits for others."""

    @functools.wraps(collective)
    def counted(group: Group, *args: P.args, **kwargs: P.kwargs) -> T:
        Meetings.count += 1
        try:
            return collective(group, *args, **kwargs)
        finally:
            Meetings.count += 1

    return counted


class Group:
    """Some ranks of this run, as one of them sees them.

    Each of its methods that other ranks take part in is for all ranks of the group: they must call
    it in the same order as each other.

    Attributes:
        rank: this process's number in the group, 0 to size - 1.
        size: the number of ranks.
        ranks: their numbers in the world, ascending.
    """

    def __init__(self, comm: Any, world_rank: int, world_size: int) -> None:
        """Make the group of a communicator. All of its ranks must call it."""
        self._comm = comm
        self._world_size = world_size
        self.rank: int = comm.Get_rank()
        self.size: int = comm.Get_size()
        ranks = np.empty(self.size, np.int64)
        comm.Allgather(np.array([world_rank], np.int64), ranks)
        self.ranks: list[int] = ranks.tolist()

    @property
    def is_root(self) -> bool:
        """Whether this is rank 0, which alone writes and prints."""
        return self.rank == 0

    def split(self, colour: int) -> Group:
        """Return the group of those ranks that give the same ``colour``, 0 or more.

        All ranks of this group must call it.
        """
        comm = self._comm.Split(colour, self.rank)
        return Group(comm, self.ranks[self.rank], self._world_size)

    def all_or_raise(self, function: Callable[[], T]) -> T:
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
            message = f"rank {self.ranks[failed[0]]} of {self._world_size}: {message}"
        raise _on_all_ranks(first["kind"], message)

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
        failure = [type(error).__name__, str(error)] if error else None
        result, failure = self.broadcast_json([result, failure])
        if failure:
            raise _on_all_ranks(*failure)
        return result

    @meeting
    def broadcast_json(self, value: Any) -> Any:
        """Give all ranks what rank 0 holds in ``value``. All ranks must call it."""
        text = json.dumps(value).encode() if self.is_root else b""
        length = np.array([len(text)], np.int64)
        self._comm.Bcast(length)
        buffer = np.frombuffer(text, np.uint8) if self.is_root else np.empty(length[0], np.uint8)
        self._broadcast(buffer, 0)
        return value if self.is_root else json.loads(buffer.tobytes())

    @meeting
    def gather_json(self, value: Any) -> list[Any]:
        """Give all ranks the list of every rank's ``value``, by rank. All ranks must call it."""
        text = np.frombuffer(json.dumps(value).encode(), np.uint8)
        lengths = np.empty(self.size, np.int64)
        self._comm.Allgather(np.array([text.size], np.int64), lengths)
        texts = np.empty(int(lengths.sum()), np.uint8)
        parts = np.split(texts, np.cumsum(lengths)[:-1])
        if texts.size <= MESSAGE_BYTES:
            self._comm.Allgatherv(text, [texts, lengths])
        else:
            parts[self.rank][:] = text
            for rank, part in enumerate(parts):
                self._broadcast(part, rank)
        return [json.loads(part.tobytes()) for part in parts]

    @meeting
    def broadcast_array(self, array: np.ndarray, root: int = 0) -> np.ndarray:
        """Give all ranks ``root``'s ``array``.

        All ranks must call it, with arrays of one shape and dtype; the content matters on that
        rank alone and is not changed.
        """
        buffer = np.array(array, copy=True, order="C")
        self._broadcast(buffer, root)
        return buffer

    def _broadcast(self, buffer: np.ndarray, root: int) -> None:
        """Give all ranks ``root``'s ``buffer``; they have one size. All ranks must call it."""
        for piece in _pieces(buffer):
            self._comm.Bcast(piece, root)

    @meeting
    def gather_arrays(self, array: np.ndarray) -> np.ndarray | None:
        """Give rank 0 every rank's ``array``, joined along the first axis; others get None.

        All ranks must call it, with arrays that agree in dtype and in all axes but the first.
        """
        arrays = list(self.arrays_in_turn(array))
        return np.concatenate(arrays) if self.is_root else None

    def arrays_in_turn(self, array: np.ndarray) -> Iterator[np.ndarray]:
        """Give rank 0 every rank's ``array``, one after the other by rank; others get none.

        Rank 0 holds no more than one of the others' at a time. All ranks of the group must call
        it, with arrays that agree in dtype and in all axes but the first, and take all that it
        gives: the others, too, send nothing before. It counts no meeting, since rank 0 works in
        between.
        """
        array = np.ascontiguousarray(array)
        shape = np.array(array.shape, np.int64)
        if not self.is_root:
            for piece in (shape, *_pieces(array)):
                self._comm.Send(piece, 0, _ARRAY_TAG)
            return
        yield array
        for rank in range(1, self.size):
            self._comm.Recv(shape, rank, _ARRAY_TAG)
            if tuple(shape[1:]) != array.shape[1:]:
                raise RuntimeError(f"rank {rank} has {shape.tolist()}, and rank 0 {array.shape}")
            other = np.empty(shape, array.dtype)
            for piece in _pieces(other):
                self._comm.Recv(piece, rank, _ARRAY_TAG)
            yield other

    @meeting
    def sum_arrays(self, array: np.ndarray) -> np.ndarray:
        """Give all ranks the sum of every rank's ``array``, float64 or int64.

        All ranks must call it, with arrays of one shape and dtype.
        """
        own = np.ascontiguousarray(array)
        total = np.empty_like(own)
        self._comm.Allreduce(own, total)
        return total

    def around(self, array: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the number of each rank of the group and its ``array``, this rank's first.

        The arrays travel round a ring, so that a rank holds two others' at a time. All ranks must
        call it, with arrays that agree in dtype and in all axes but the first, and take all that it
        gives.
        """
        array = np.ascontiguousarray(array)
        for turn in range(self.size):
            yield (self.rank - turn) % self.size, array
            if turn < self.size - 1:
                array = self._pass_on(array)

    @meeting
    def _pass_on(self, array: np.ndarray) -> np.ndarray:
        """Send an array to the next rank, and return the one before's. All ranks must call it."""
        after, before = (self.rank + 1) % self.size, (self.rank - 1) % self.size
        length = np.array([len(array)], np.int64)
        sent = [self._comm.Isend(each, after, _RING_TAG) for each in (length, *_pieces(array))]
        theirs = np.empty(1, np.int64)
        self._comm.Recv(theirs, before, _RING_TAG)
        other = np.empty((int(theirs[0]), *array.shape[1:]), array.dtype)
        for piece in _pieces(other):
            self._comm.Recv(piece, before, _RING_TAG)
        for each in sent:
            each.Wait()
        return other

    @meeting
    def pass_arrays(
        self,
        sends: Sequence[tuple[int, np.ndarray]],
        receives: Sequence[tuple[int, np.ndarray]],
    ) -> None:
        """Send arrays to ranks, and fill others with what ranks send to this one.

        Each is (rank, array). What one rank sends to another, the other must receive, in the same
        order, with arrays of the same shape and dtype, in one piece of memory.
        """
        open_requests = [
            self._comm.Irecv(piece, rank, _PASSED_TAG)
            for rank, array in receives
            for piece in _pieces(array)
        ]
        open_requests += [
            self._comm.Isend(piece, rank, _PASSED_TAG)
            for rank, array in sends
            for piece in _pieces(np.ascontiguousarray(array))
        ]
        for each in open_requests:
            each.Wait()

    @meeting
    def barrier(self) -> None:
        """Wait until all ranks are here. All ranks must call it."""
        self._comm.Barrier()


class Alarm:
    """A word to the other ranks of a group, which work by themselves, that they should stop.

    Ranks hear of it when they ask. One is used at a time, and all ranks settle it in the end.
    """

    def __init__(self, group: Group) -> None:
        """Wait for nobody."""
        self._group = group
        self._sent: list[Any] = []
        self._is_own = False

    def sound(self) -> None:
        """Tell the others, once; waits for nobody."""
        if not self._is_own:
            self._is_own = True
            others = (rank for rank in range(self._group.size) if rank != self._group.rank)
            self._sent = [self._group._comm.Isend(_WORD, rank, _ALARM_TAG) for rank in others]

    def is_heard(self) -> bool:
        """Return whether another rank has sounded it."""
        return bool(self._group._comm.Iprobe(tag=_ALARM_TAG))

    def settle(self) -> None:
        """Take all words, so that none is left for the next alarm. All ranks must call it."""
        who = [rank for rank, has in enumerate(self._group.gather_json(self._is_own)) if has]
        for rank in who:
            if rank != self._group.rank:
                self._group._comm.Recv(np.empty(0, np.uint8), rank, _ALARM_TAG)
        for each in self._sent:
            each.Wait()
        self._sent, self._is_own = [], False


_WORD = np.empty(0, np.uint8)  # says all by being sent


def _on_all_ranks(kind: str, message: str) -> errors.UserError:
    """Return a user error that every rank raises."""
    error: errors.UserError = getattr(errors, kind)(message, on_all_ranks=True)
    return error


def _pieces(array: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the bytes of an array in one piece of memory, as many as a message can hold each."""
    content = array.reshape(-1).view(np.uint8)
    for begin in range(0, len(content), MESSAGE_BYTES):
        yield content[begin : begin + MESSAGE_BYTES]
