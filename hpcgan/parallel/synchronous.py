"""Synchronous data parallelism: every rank trains the same networks on its own shards.

Each update averages gradients, moving statistics and losses over all shards in one ring
all-reduce, so all ranks hold the same networks after every step.
"""

from __future__ import annotations

from hpcgan import ring
from hpcgan.config import Config
from hpcgan.gan.state import State
from hpcgan.gan.update import Update
from hpcgan.parallel.marks import Marks
from hpcgan.world import World


def make_update(
    world: World,
    config: Config,
    state: State,
    dtype: str,
    hosted: range,
    marks: Marks | None = None,
) -> Update:
    """Return the update of this rank's ``hosted`` shards; starts the ring.

    All ranks must call it. Then each step of the update is a collective (``Update.run``).
    ``marks`` note when its exchanges begin and end.
    """
    exchange = ring.start(world)
    half = {"none": None, "fp16": "float16", "bf16": "bfloat16"}[config.parallel.compression]
    gradients = ring.start_half(world, half) if half else None
    if marks:
        exchange = marks.timed(exchange)
        gradients = marks.timed(gradients) if gradients else None
    return Update(config, state, dtype, hosted, exchange, gradients)
