"""The ring: Horovod's all-reduce of gradients inside the compiled update. Its only user.

Its settings are chosen here and in ``world``, which sets what MPI reads; what the user has set
stays. ``settings`` tells all of them.
"""

from __future__ import annotations

import itertools
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpcgan.exchange import Exchange, alone
from hpcgan.world import ENVIRONMENT, World

if TYPE_CHECKING:
    import tensorflow as tf

_LEAST_PRIORITY = 19  # in the system's count, which is upside down


def start(world: World) -> Exchange:
    """Start Horovod and return the exchange, which can be part of a compiled function.

    All ranks must call it. With one rank there is no one to talk to, and no Horovod.
    """
    if world.size == 1:
        return alone
    hvd = _start_horovod(world)
    # Two exchanges may be under way at once: names tell them apart, the same on all ranks.
    numbers = itertools.count()

    def exchange(vector: tf.Tensor, scale: float = 1.0) -> tf.Tensor:
        # Horovod scales while it copies the vector to where the sum will be. Without a scale MPI
        # makes that copy: so scaling here costs nothing, and in the graph it would cost a pass.
        name = f"hpcgan.{next(numbers)}"
        return hvd.allreduce(vector, op=hvd.Sum, name=name, prescale_factor=scale)

    return exchange


def start_half(world: World, dtype: str) -> Exchange:
    """Return an exchange that sends numbers of 16 bits, and adds them in float32.

    It is a ring all-reduce in two halves: each rank gets one part of the vector from all others,
    adds it up, and gives the sum to all. So the sum is rounded twice, once before it is sent and
    once after, and all ranks hold the same. Who must call it, and when, is as with ``start``.

    Args:
        world: the ranks.
        dtype: "float16" or "bfloat16".
    """
    if world.size == 1:
        return alone
    import tensorflow as tf

    hvd = _start_horovod(world)
    kind = tf.dtypes.as_dtype(dtype)
    numbers = itertools.count()

    def exchange(vector: tf.Tensor, scale: float = 1.0) -> tf.Tensor:
        number = next(numbers)
        length = vector.shape[0]
        padded = tf.pad(scale * vector, [[0, -length % world.size]])
        # Horovod knows no bfloat16, NCCL no 16-bit integers: the bits travel as float16.
        sent = tf.bitcast(tf.cast(padded, kind), tf.float16)
        arrived = hvd.alltoall(sent, name=f"hpcgan.part.{number}")
        parts = tf.reshape(tf.bitcast(arrived, kind), [world.size, -1])
        own = tf.cast(tf.reduce_sum(tf.cast(parts, tf.float32), 0), kind)
        sums = hvd.allgather(tf.bitcast(own, tf.float16), name=f"hpcgan.sums.{number}")
        whole = tf.cast(tf.bitcast(sums, kind), tf.float32)
        return tf.ensure_shape(whole[:length], [length])

    return exchange


def settings() -> str:
    """Return the settings of MPI and Horovod that are in force, as NAME=VALUE words."""
    names = [*ENVIRONMENT, "HOROVOD_CYCLE_TIME"]
    return " ".join(f"{name}={os.environ[name]}" for name in names if name in os.environ)


def _start_horovod(world: World) -> Any:
    """Start Horovod, which may have been started, and return it. All ranks must call it."""
    import horovod.tensorflow as hvd

    # Milliseconds between two looks for a tensor that is ready on all ranks. With one core a rank
    # the looking fills what the computation leaves of it; else it would keep a core busy.
    os.environ.setdefault("HOROVOD_CYCLE_TIME", "0" if world.cores == 1 else "0.1")
    others = _threads()
    hvd.init()
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
