"""What a configuration leaves open, and the data, the number of ranks or the checkpoint decide."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hpcgan import varied
from hpcgan.checkpoint import Checkpoint
from hpcgan.config import Config
from hpcgan.data.assignment import ShardAssignment, assign_shards
from hpcgan.errors import DataError
from hpcgan.gan import conditions
from hpcgan.world import World

if TYPE_CHECKING:
    from hpcgan.training.plan import Plan


def with_shards(config: Config, found: Checkpoint | None, ranks: int) -> Config:
    """Resolve ``data.shards: null``: as in the checkpoint, else one a rank."""
    if config.data.shards is not None:
        return config
    number = found.config.data.shards if found else ranks
    return replace(config, data=replace(config.data, shards=number))


def with_swaps(config: Config, samples: int, found: Checkpoint | None) -> Config:
    """Resolve ``train.swap_every``: as in the checkpoint, else one pass over a D's samples."""
    train = config.train
    if train.discriminators == 1 or train.swap_every is not None:
        return config
    every = found.config.train.swap_every if found else None
    if every is None:
        assert config.data.shards is not None
        per_step = train.batch_size * train.discriminator_steps * config.data.shards
        every = -(-samples // per_step)
    return replace(config, train=replace(train, swap_every=every))


def with_labels(config: Config, assignment: ShardAssignment, found: Checkpoint | None) -> Config:
    """Resolve what the networks must know of the labels, as in the checkpoint or from the data."""
    model = config.model
    if model.condition == "none":
        return config
    if found:
        earlier = found.config.model
        classes = earlier.classes if model.classes is None else model.classes
        label_range = model.label_range or earlier.label_range
        model = replace(model, classes=classes, label_range=label_range)
    whole = all(labels.dtype.kind in "iu" for labels in assignment.labels.values())
    try:
        model = conditions.resolve(model, assignment.label_ranges, whole)
    except DataError as error:
        raise DataError(f"{', '.join(config.data.files)}: {error}") from None
    return replace(config, model=model)


def with_generator_ranks(config: Config, found: Checkpoint | None, ranks: int) -> Config:
    """Resolve ``parallel.generator_ranks`` as in a checkpoint of as many ranks, if there is one."""
    parallel = config.parallel
    is_open = parallel.mode == "split" and parallel.generator_ranks is None
    if not is_open or not found or found.ranks != ranks:
        return config
    number = found.config.parallel.generator_ranks
    return replace(config, parallel=replace(parallel, generator_ranks=number))


def with_own_values(plan: Plan) -> Plan:
    """Leave out what of its checkpoint's values is of keys that the configuration has changed."""
    found = plan.found
    if not found or not found.values:
        return plan
    before, now = varied.in_use(found.config), varied.in_use(plan.config)
    kept = {key: value for key, value in found.values.items() if before.get(key) == now.get(key)}
    return replace(plan, found=replace(found, values=kept))


def balanced(world: World, plan: Plan) -> Plan:
    """Return a plan in which ``parallel.generator_ranks`` is decided, where split leaves it open.

    A turn of each network is timed if there is a choice. All ranks must call it, before anything is
    made of the plan; it takes as long as compiling both networks.
    """
    config, shards = plan.config, plan.config.data.shards
    if config.parallel.mode != "split" or config.parallel.generator_ranks is not None:
        return plan
    from hpcgan.parallel import balancing

    assert shards is not None
    number, *others = balancing.fitting(shards, world.size)
    if others:
        source = plan.source
        own = world.all_or_raise(
            lambda: balancing.time_turns(config, source.sample_shape, source.dtype)
        )
        every = world.gather_json(own)
        g, d = (sum(each) / world.size for each in zip(*every, strict=True))
        number = balancing.best((g, d), shards, world.size)
        if world.is_root:
            print(
                f"hpcgan: a shard's turn of the generator takes {1e3 * g:.1f} ms, and one of the "
                f"discriminator {1e3 * d:.1f} ms: {number} of {world.size} ranks train the "
                "generator (parallel.generator_ranks)",
                flush=True,
            )
    config = replace(config, parallel=replace(config.parallel, generator_ranks=number))
    earlier = plan.found.config.data if plan.found else None
    _, assignment = assign_shards(world, config, plan.source, earlier)
    return replace(plan, config=config, assignment=assignment)
