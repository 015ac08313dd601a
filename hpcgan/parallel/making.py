"""The way of training that a configuration asks for, over Horovod's ring."""

from __future__ import annotations

from hpcgan.all_reduce import AllReduce
from hpcgan.config import Config
from hpcgan.gan.state import State
from hpcgan.gan.update import Sums
from hpcgan.group import Group
from hpcgan.parallel import Strategy, placing
from hpcgan.parallel.local import Local
from hpcgan.parallel.sides import Links
from hpcgan.parallel.silence import Silence
from hpcgan.parallel.split import Split
from hpcgan.parallel.synchronous import Synchronous
from hpcgan.parallel.timer import CollectiveTimer
from hpcgan.ring import Ring
from hpcgan.world import World


def over_ring(
    world: World, config: Config, state: State, dtype: str, timer: CollectiveTimer | None = None
) -> Strategy:
    """Return the way of training of ranks that exchange over the ring, which starts Horovod.

    All ranks must call it. ``timer`` notes when all-reduces begin and end.

    Args:
        world: the ranks.
        config: with all that was open in it decided.
        state: the networks, which are trained.
        dtype: of the samples, "uint8" or "float32".
        timer: of the all-reduces.
    """
    group = world.split(group_of(config, world))
    return from_ring(Ring(world, [group]), world, group, config, state, dtype, timer)


def group_of(config: Config, world: World) -> int:
    """Return the number of this rank's group: those of a group train the same networks."""
    place = placing.of(config, world.size)
    if place.generator_ranks:
        return int(world.rank >= place.generator_ranks)
    each = place.shards // config.train.discriminators
    return place.hosted(world.rank).start // each


def from_ring(
    ring: Ring | Silence,
    world: World,
    group: Group,
    config: Config,
    state: State,
    dtype: str,
    timer: CollectiveTimer | None = None,
) -> Strategy:
    """Return the same with a ring that was started with this rank's group, or without one."""
    place = placing.of(config, world.size)
    if config.parallel.mode == "split":
        # Only what all ranks do equally often can be compared between them.
        is_even = config.train.discriminator_steps == 1 and config.model.normalisation == "batch"
        sums = _sums(ring, group, config, timer if is_even else None)
        links = Links(sums, ring.all_to_all, ring.all_reduce())
        if timer:
            links = links._replace(arrived=timer.arrived)
        return Split(config, state, dtype, place, world.rank, links)
    if config.train.discriminators > 1:
        own, sums = _sums(ring, group, config, None), _sums(ring, world, config, timer)
        return Local(config, state, dtype, place, world, sums, own, ring.all_reduce())
    sums = _sums(ring, world, config, timer)
    return Synchronous(config, state, dtype, place.hosted(world.rank), *sums, world.size)


def _sums(
    ring: Ring | Silence, group: Group, config: Config, timer: CollectiveTimer | None
) -> Sums:
    """Return the sums over a group."""
    half = {"none": None, "fp16": "float16", "bf16": "bfloat16"}[config.parallel.compression]
    found: list[AllReduce] = [ring.all_reduce(group)]
    if half:
        found.append(ring.half_all_reduce(half, group))
    return Sums(*(timer.timed(each) if timer else each for each in found))
