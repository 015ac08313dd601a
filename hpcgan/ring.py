"""The ring: Horovod's collectives inside the compiled steps. Its only user.

Its settings are chosen here and in ``world``, which sets what MPI reads; what the user has set
stays. ``settings`` lists all of them.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpcgan.all_reduce import AllReduce, identity
from hpcgan.group import Group
from hpcgan.world import ENVIRONMENT, World

if TYPE_CHECKING:
    import tensorflow as tf

_LEAST_PRIORITY = 19  # in the system's count, which is upside down

# Horovod's name for each group that it has, by the ranks: it starts once per process.
_process_sets: dict[tuple[int, ...], Any] = {}


class Ring:
    """The collectives of groups of ranks.

    All ranks of the whole world must make the first together, with all groups that will exchange
    something: Horovod makes them when it starts, and each then runs at its own pace. What a method
    returns can be part of a compiled function; all ranks of the group must make it, and then call
    it equally often, in the same order among the collectives of this group. A group of one rank
    does without Horovod.
    """

    def __init__(self, world: World, groups: Sequence[Group] = ()) -> None:
        """Start Horovod, if there is more than one rank and it has not been started.

        ``groups`` are this rank's part of each ``World.split``.
        """
        self._world = world
        # Two collectives may be under way at once: names tell them apart, the same on all ranks.
        self._counts: Counter[tuple[int, ...]] = Counter()
        own = [tuple(group.ranks) for group in (world, *groups) if len(group.ranks) > 1]
        if own:
            self._hvd = _start_horovod(world.whole, own)

    def all_reduce(self, group: Group | None = None) -> AllReduce:
        """Return the sum over a group, or over all ranks, of float32 vectors."""
        members = self._members(group)
        if len(members) == 1:
            return identity
        hvd = self._hvd

        def all_reduce(vector: tf.Tensor, scale: float = 1.0) -> tf.Tensor:
            # Horovod scales while it copies the vector to where the sum will be. Without a scale
            # MPI makes that copy: so scaling here costs nothing, and in the graph it would cost a
            # pass.
            return hvd.allreduce(
                vector,
                op=hvd.Sum,
                name=self._name("sum", members),
                prescale_factor=scale,
                process_set=_process_sets[members],
            )

        return all_reduce

    def half_all_reduce(self, dtype: str, group: Group | None = None) -> AllReduce:
        """Return a sum that sends numbers of 16 bits, and adds them in float32.

        It is a ring all-reduce in two halves: each rank gets one part of the vector from all
        others, adds it up, and gives the sum to all. So the sum is rounded twice, once before it is
        sent and once after, and all ranks hold the same. ``dtype`` is "float16" or "bfloat16".
        """
        import tensorflow as tf

        members = self._members(group)
        if len(members) == 1:
            return identity
        hvd, kind, of_group = self._hvd, tf.dtypes.as_dtype(dtype), _process_sets[members]

        def all_reduce(vector: tf.Tensor, scale: float = 1.0) -> tf.Tensor:
            length = vector.shape[0]
            padded = tf.pad(scale * vector, [[0, -length % len(members)]])
            # Horovod knows no bfloat16, NCCL no 16-bit integers: the bits travel as float16.
            sent = tf.bitcast(tf.cast(padded, kind), tf.float16)
            arrived = hvd.alltoall(sent, name=self._name("parts", members), process_set=of_group)
            parts = tf.reshape(tf.bitcast(arrived, kind), [len(members), -1])
            own = tf.cast(tf.reduce_sum(tf.cast(parts, tf.float32), 0), kind)
            sums = hvd.allgather(
                tf.bitcast(own, tf.float16), name=self._name("sums", members), process_set=of_group
            )
            whole = tf.cast(tf.bitcast(sums, kind), tf.float32)
            return tf.ensure_shape(whole[:length], [length])

        return all_reduce

    def all_to_all(self, sends: Sequence[int], receives: int) -> Callable[[tf.Tensor], tf.Tensor]:
        """Return what gives each rank its part of a vector, and returns what all gave to this one.

        All ranks must make it, and call it equally often.

        Args:
            sends: how many numbers each rank gets, in their order in the vector.
            receives: how many this rank gets in all; they come in the order of the ranks.
        """
        import tensorflow as tf

        members = self._members(None)
        name = self._name("hand-over", members)
        splits = list(sends)

        def all_to_all(vector: tf.Tensor) -> tf.Tensor:
            arrived, _ = self._hvd.alltoall(
                vector,
                splits=tf.constant(splits, tf.int32),
                name=name,
                process_set=_process_sets[members],
            )
            return tf.ensure_shape(arrived, [receives])

        return all_to_all

    def _members(self, group: Group | None) -> tuple[int, ...]:
        """Return the ranks of a group, or all."""
        return tuple((group or self._world).ranks)

    def _name(self, what: str, members: tuple[int, ...]) -> str:
        """Return a name for a collective that is the same on all ranks of its group."""
        self._counts[members] += 1
        return f"hpcgan.{what}.{members[0]}-{members[-1]}.{len(members)}.{self._counts[members]}"


def settings() -> str:
    """Return the settings of MPI and Horovod that are in force, as NAME=VALUE words."""
    names = [*ENVIRONMENT, "HOROVOD_CYCLE_TIME"]
    return " ".join(f"{name}={os.environ[name]}" for name in names if name in os.environ)


def _start_horovod(world: World, own: list[tuple[int, ...]]) -> Any:
    """Start Horovod with the groups of all ranks, of which ``own`` are this rank's; return it.

    All ranks must call it. If it was started before, it must have these groups already: it makes no
    others later, and nobody is waited for.
    """
    import horovod.tensorflow as hvd

    everyone = tuple(world.ranks)
    if hvd.is_initialized():
        if not set(own) <= _process_sets.keys():
            raise RuntimeError("Horovod makes groups of ranks at its start alone")
        return hvd
    # Milliseconds between two looks for a tensor that is ready on all ranks. With one core per rank
    # the looking fills what the computation leaves of it; else it would keep a core busy.
    os.environ.setdefault("HOROVOD_CYCLE_TIME", "0" if world.cores == 1 else "0.1")
    others = _threads()
    groups = {tuple(ranks) for each in world.gather_json(own) for ranks in each}
    made = {each: hvd.ProcessSet(each) for each in sorted(groups) if each != everyone}
    hvd.init(process_sets=list(made.values()))
    _process_sets.update({**made, everyone: hvd.global_process_set})
    # Its thread looks all the time, and at each look waits for those of the other ranks. As a
    # thread like others it takes up to a sixth of the core from the computation; like this it runs
    # when the computation waits, and that is when there is something to exchange.
    for thread in _threads() - others:
        with suppress(ProcessLookupError):  # it was one of the start alone
            os.setpriority(os.PRIO_PROCESS, thread, _LEAST_PRIORITY)
    if (hvd.rank(), hvd.size()) != (world.rank, world.size):
        raise RuntimeError(
            f"Horovod says rank {hvd.rank()} of {hvd.size()} where MPI says "
            f"{world.rank} of {world.size}: they were built against different MPI libraries"
        )
    return hvd


def _threads() -> set[int]:
    """Return the threads of this process, as the system knows them."""
    return {int(path.name) for path in Path("/proc/self/task").iterdir()}
