"""All ranks of a run: where they are, and how they start and end. With ``group``, the only user of
mpi4py.

MPI starts and ends the run, agrees on errors and moves checkpoints. What moves the gradients is
``ring``.

A collective is a call that returns only when every rank has made it. Here those are all public
methods of ``Group`` and ``World`` but ``abort``, ``mpi`` and ``with_deadline``. A rank that waits
for others inside one counts that in ``meetings``.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from hpcgan.deadline import Deadline
from hpcgan.ending import end_process
from hpcgan.group import Group, Meetings, meeting

_ASLEEP = 0.2  # seconds between two looks for the others
_BLINK = 0.001  # the first one: those who wait for less lose no more than they have waited
_QUESTIONS = 20  # that a rank asks rank 0 to compare their clocks
_CLOCK_TAG = 32000  # of these messages: no exchange with a deadline has it

# What MPI and Horovod read once, when MPI starts.
ENVIRONMENT = {
    # Horovod's background thread makes a small MPI_Allreduce every cycle, in which Open MPI
    # busy-waits. With one core per rank that takes the core from the computation: yield instead.
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
    # Shared windows do not need it, and without its hardware it prints a warning per rank.
    "OMPI_MCA_osc": "^ucx",
}


class World(Group):
    """The group of all ranks of this run, or of a member of a population.

    Attributes:
        node_rank: this process's number among the ranks of its node.
        node_size: the number of ranks on this node.
        node_ranks: the ranks of this node, ascending.
        cores: processor cores that this rank can count on without taking another rank's.
        shares_cores: whether some node has more ranks than cores that they may use.
        host: the name of this rank's node.
        hosts: those of all ranks.
        whole: the world of which this is a part; else itself.
    """

    def __init__(self) -> None:
        """Start MPI. All ranks must make their ``World``, once."""
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)  # what the user has set stays
        from mpi4py import MPI
        from threadpoolctl import threadpool_limits

        comm = MPI.COMM_WORLD
        super().__init__(comm, comm.Get_rank(), comm.Get_size())
        self.whole = self
        self._abort: Any = MPI.COMM_WORLD.Abort
        self._allocate_shared = MPI.Win.Allocate_shared
        self._node_kind = MPI.COMM_TYPE_SHARED
        self._look_at_nodes()
        own = os.sched_getaffinity(0)
        shared = len(set().union(*self._node.gather_json(sorted(own))))
        # Its own when it is bound, else an equal part of the node's.
        self.cores = max(1, min(len(own), shared // self.node_size))
        # NumPy would take all cores of the node, and ranks that do so together wait for each other.
        threadpool_limits(self.cores, user_api="blas")
        self.shares_cores = any(self.gather_json(self.node_size > shared))
        self._progress = "at its start"
        sys.excepthook = lambda kind, error, trace: self._fail(error)
        threading.excepthook = lambda failed: self._fail(failed.exc_value)

    def part(self, colour: int) -> World:
        """Return the ranks that give the same ``colour``, 0 or more, as a world of their own.

        In it they have other numbers, from 0. What fails in it ends all ranks. All ranks of this
        world must call it.
        """
        part = object.__new__(World)
        comm = self._comm.Split(colour, self.rank)
        Group.__init__(part, comm, self.ranks[self.rank], self._world_size)
        part.whole, part._abort = self.whole, self._abort
        part._allocate_shared, part._node_kind = self._allocate_shared, self._node_kind
        part.cores, part.shares_cores = self.cores, self.shares_cores
        part._look_at_nodes()
        return part

    def _look_at_nodes(self) -> None:
        """Find which ranks share this rank's node. All ranks must call it."""
        self._windows: list[Any] = []
        node = Group(self._comm.Split_type(self._node_kind), self.rank, self.size)
        self.node_rank, self.node_size, self.node_ranks = node.rank, node.size, node.ranks
        self._node = node
        self.host = socket.gethostname()
        self.hosts: list[str] = self.gather_json(self.host)

    @property
    def progress(self) -> str:
        """How far this rank has come, for what is printed when it fails."""
        return self.whole._progress

    @progress.setter
    def progress(self, text: str) -> None:
        self.whole._progress = text

    @property
    def meetings(self) -> int:
        """How often this rank has entered or left a collective of any group: odd inside one."""
        return Meetings.count

    @meeting
    def node_array(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """Return an array that all ranks of this node share: one piece of memory, not yet filled.

        All ranks of the node must call it, with the same shape and dtype. What one writes, the
        others see after the next collective. The memory stays until the ranks end.
        """
        item = np.dtype(dtype).itemsize
        size = int(np.prod(shape)) * item
        window = self._allocate_shared(
            size if self.node_rank == 0 else 0, item, comm=self._node._comm
        )
        self._windows.append(window)
        memory: Any = window.Shared_query(0)[0]
        return np.frombuffer(memory, dtype, count=size // item).reshape(shape)

    @meeting
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

    @meeting
    def wait_asleep(self) -> None:
        """Wait until all ranks are here, for hours if need be, without using a core.

        All ranks must call it.
        """
        arrived, pause = self._comm.Ibarrier(), _BLINK
        while not arrived.Test():
            time.sleep(pause)
            pause = min(2 * pause, _ASLEEP)

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
        """Write ``last_words`` to stderr or stdout and end all ranks at once with ``status``.

        One rank calls it; it does not return. Whatever it waits for, pipes that nobody reads or
        MPI, after some seconds this process ends, and the launcher the others.
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
