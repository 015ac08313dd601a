"""Which samples each shard holds, and each rank: what the configuration leaves open, and checks.

Where the samples are kept decides how they can be shuffled, and that decides whether whole chunks
are divided. The decisions become part of the run's configuration, so that it goes on in the same
way on other ranks or nodes.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from hpcgan.config import KEYS, Config, DataConfig
from hpcgan.data.shards import ChunkSlice, divide, label_entropy
from hpcgan.data.source import Source
from hpcgan.errors import ConfigError, DataError
from hpcgan.memory import format_bytes, free_memory, free_shared_memory
from hpcgan.parallel import placing
from hpcgan.parallel.placing import Placing
from hpcgan.world import World

Placement = Literal["memory", "node", "stream"]

_COUNTED = 2**22  # labels at a time


@dataclass(frozen=True)
class ShardAssignment:
    """The data as this rank sees them.

    Attributes:
        placement: where the samples are while the run uses them.
        because: why, in short.
        slices: of each shard that this rank hosts or stores.
        hosted: the shards of this rank, whose batches it computes.
        read: those of them whose samples it reads.
        stored: shards whose samples are kept here; if they are shared or staged, by its node.
        sizes: samples of every shard, of all ranks.
        entropies: of every shard's labels, in bits; empty if they are no integers.
        labels: of the samples of each hosted shard, in the order of its slices; empty without any.
        label_ranges: smallest and largest label of all the data, or of each of their K values;
            empty without any.
        class_counts: samples of the classes 0, 1, ... in all the data, int64; empty where the
            networks have none.
    """

    placement: Placement
    because: str
    slices: dict[int, list[ChunkSlice]]
    hosted: range
    read: range
    stored: tuple[int, ...]
    sizes: tuple[int, ...]
    entropies: tuple[float, ...]
    labels: dict[int, np.ndarray]
    label_ranges: tuple[tuple[float, float], ...]
    class_counts: np.ndarray

    def describe(self, config: Config) -> str:
        """Return how the data are divided and kept, with the imbalance, in one line."""
        data = config.data
        smallest, largest = min(self.sizes), max(self.sizes)
        samples = f"{largest}" if smallest == largest else f"{smallest} to {largest}"
        of_part = "part {} of {}, in ".format(*data.part) if data.part else ""
        text = f"{of_part}{len(self.sizes)} {data.partition} shards of {samples} samples"
        if self.entropies:
            text += f", labels of {min(self.entropies):.3f} to {max(self.entropies):.3f} bits"
        steps = -(-largest // (config.train.batch_size * config.train.discriminator_steps))
        where = {"memory": "in memory", "node": "in the nodes' shared memory", "stream": "streamed"}
        pool = f"in a pool of {data.shuffle_chunks} chunks"
        return (
            f"{text}; all are seen in {steps} steps; {where[self.placement]} ({self.because}), "
            f"shuffled {pool if data.shuffle == 'chunks' else 'one by one'}"
        )


def assign_shards(
    world: World, config: Config, source: Source, earlier: DataConfig | None
) -> tuple[Config, ShardAssignment]:
    """Decide how the data are divided and kept. All ranks must call it, with the same arguments.

    ``config`` has ``data.shards`` resolved to a number; ``earlier`` is the data section of the run
    that is resumed, if any. Returns the configuration with all that was open in its data section,
    and the assignment.

    Raises:
        ConfigError, DataError: the data cannot be divided so; the same on all ranks.
    """
    number = config.data.shards
    assert number is not None
    part, parts = config.data.part or (0, 1)
    every = number * parts  # of all the data
    world.all_or_raise(lambda: _check_number(every, source))
    place = world.all_or_raise(lambda: placing.of(config, world.size))
    room = _look_for_room(world, place, source, every)
    keeps_order = "samples" in (config.data.shuffle, earlier.shuffle if earlier else None)
    placement = world.all_or_raise(lambda: _choose(config.data, room, keeps_order, _names(source)))
    data = world.all_or_raise(lambda: _resolve(config.data, every, placement, source, earlier))
    resolved = dataclasses.replace(config, data=data)
    hosted, read = place.hosted(world.rank), place.read(world.rank)
    labels = _labels(world, config, source)
    stored = list(read)
    if placement == "node" or data.stage:  # what a rank reads or copies may be for its neighbours
        stored = _read_on_node(world, place)
    needed = sorted({*hosted, *stored})
    wanted = [part * number + shard for shard in needed]
    found = divide(data.partition, source.chunk_offsets, every, wanted, bool(data.align), labels)
    slices = {shard - part * number: own for shard, own in found.items()}
    own = {}
    if labels is not None:
        own = {shard: np.concatenate([labels[np.r_[s]] for s in slices[shard]]) for shard in hosted}
    sizes, entropies = _measure(
        world,
        [sum(map(len, slices[shard])) for shard in read],
        {shard: own[shard] for shard in read if shard in own},
    )
    why = f"{format_bytes(room.need)} per node, {format_bytes(room.free)} free"
    assignment = ShardAssignment(
        placement=placement,
        because=f"auto: {why}" if config.data.residency == "auto" else why,
        slices=slices,
        hosted=hosted,
        read=read,
        stored=tuple(stored),
        sizes=sizes,
        entropies=entropies,
        labels=own,
        label_ranges=() if labels is None else _ranges(labels),
        class_counts=_class_counts(labels if _has_classes(config) else None),
    )
    world.all_or_raise(lambda: _check_batch(resolved, source, min(sizes)))
    return resolved, assignment


def _read_on_node(world: World, place: Placing) -> list[int]:
    """Return the shards that the ranks of this node read, ascending."""
    return sorted({shard for rank in world.node_ranks for shard in place.read(rank)})


def _check_number(shards: int, source: Source) -> None:
    """Refuse a number of shards that leaves a shard without samples."""
    if len(source) < shards:
        raise DataError(
            f"{_names(source)}: {len(source)} samples cannot be divided into {shards} shards "
            "(data.shards, one per rank by default); use fewer ranks or shards, or more data"
        )


class _Room(NamedTuple):
    """What decides about the placement, over all nodes."""

    need: int  # bytes of the samples that one node hosts, the most
    free: int  # bytes of memory of a node, the least
    shared: int  # bytes of memory that the ranks of a node can share, the least
    ranks: int  # of a node, the most


def _look_for_room(world: World, place: Placing, source: Source, every: int) -> _Room:
    """Return the room on the nodes; the same on all ranks. All ranks must call it.

    ``every`` is the number of shards that all the data are divided into.
    """
    here = len(_read_on_node(world, place))
    need = -(-len(source) * source.sample_bytes * here // every)
    found = world.gather_json([need, free_memory(), free_shared_memory(), world.node_size])
    needs, frees, shareds, ranks = zip(*found, strict=True)
    return _Room(max(needs), min(frees), min(shareds), max(ranks))


def _choose(data: DataConfig, room: _Room, keeps_order: bool, names: str) -> Placement:
    """Choose where the samples are kept; to shuffle them one by one, they cannot be streamed."""
    most = {"memory": room.free, "node": min(room.free, room.shared)}
    if data.residency == "auto":
        # A chunk of which several ranks need a part is read once per node, not per rank.
        dealt_out = data.partition == "balanced" or (data.partition == "strided" and not data.align)
        if dealt_out and room.ranks > 1 and room.need <= most["node"] // 2:
            return "node"
        if room.need <= most["memory"] // 2:
            return "memory"
        if not keeps_order:
            return "stream"
        raise DataError(
            f"{names}: the samples are shuffled one by one (data.shuffle: samples), for which "
            f"they must be in memory; they need {format_bytes(room.need)} on a node that has "
            f"{format_bytes(room.free)} free, half of which may be used: use more nodes"
        )
    if data.residency != "stream" and room.need > most[data.residency]:
        raise DataError(
            f"{names}: data.residency is {data.residency}, for which the samples need "
            f"{format_bytes(room.need)} on a node that has {format_bytes(most[data.residency])} "
            "free; use stream, or more nodes"
        )
    return data.residency


def _resolve(
    data: DataConfig, number: int, placement: Placement, source: Source, earlier: DataConfig | None
) -> DataConfig:
    """Decide how the samples are shuffled, and whether chunks or samples are divided."""
    shuffle, align = data.shuffle, data.align
    if shuffle == "auto":
        shuffle = earlier.shuffle if earlier else "chunks" if placement == "stream" else "samples"
    if align is None and earlier:
        align = earlier.align
    chunks = len(source.chunk_offsets) - 1
    if align is None:
        can_align = data.partition != "balanced" and chunks >= number
        align = placement == "stream" and can_align
    if placement == "stream" and shuffle == "samples":
        raise ConfigError(
            f"{_names(source)}: the run began with data.shuffle: samples, which cannot be "
            "streamed; use --data.residency memory or node"
        )
    if align and chunks < number:
        raise DataError(
            f"{_names(source)}: {chunks} chunks cannot be divided into {number} shards; use "
            "data.align: false, or smaller chunks (hpcgan-data reshard --chunk)"
        )
    return dataclasses.replace(data, shuffle=shuffle, align=align)


def _labels(world: World, config: Config, source: Source) -> np.ndarray | None:
    """Return all labels, read by rank 0, on all ranks; None if there are none. A collective."""
    if source.labels is None:
        return None
    held: list[np.ndarray] = []

    def read() -> tuple[str, tuple[int, ...]]:
        held.append(source.read_labels())
        _check_labels(config, source, held[0])
        return held[0].dtype.str, held[0].shape

    dtype, shape = world.on_root(read)
    return world.broadcast_array(held[0] if held else np.empty(shape, dtype))


def _check_labels(config: Config, source: Source, labels: np.ndarray) -> None:
    """Refuse labels of which there would be too many classes, or that cannot be balanced."""
    if labels.ndim > 1 and config.data.partition == "balanced":
        raise ConfigError(
            f"data.partition is balanced, but '{source.labels}' of {_names(source)} has "
            f"{labels.shape[1]} values a sample, of which none is its class; use strided"
        )
    most = KEYS["model.classes"].bounds.at_most
    assert most is not None
    if _has_classes(config) and labels.dtype.kind in "iu" and labels.max() >= most:
        file, row = source.locate(int(labels.argmax()))
        raise DataError(
            f"{source.files[file]}: the label of sample {row} is {labels.max()}, and the classes "
            f"of model.condition: {config.model.condition} are below {most}; number them from 0, "
            "without gaps"
        )


def _has_classes(config: Config) -> bool:
    return config.model.condition in ("projection", "auxiliary")


def _ranges(labels: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Return the smallest and the largest of labels, or of each of their values."""
    columns = labels.reshape(len(labels), -1).T
    return tuple((float(each.min()), float(each.max())) for each in columns)


def _class_counts(labels: np.ndarray | None) -> np.ndarray:
    """Return how many labels are 0, 1, ...; none if some are no classes, which is refused later."""
    if labels is None or labels.dtype.kind not in "iu" or labels.min() < 0:
        return np.zeros(0, np.int64)
    counts = np.zeros(int(labels.max()) + 1, np.int64)
    for begin in range(0, len(labels), _COUNTED):  # NumPy makes a larger copy of what it counts
        part = labels[begin : begin + _COUNTED].astype(np.int64)
        counts += np.bincount(part, minlength=len(counts))
    return counts


def _measure(
    world: World, sizes: list[int], labels: dict[int, np.ndarray]
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return the samples and the labels' entropy of all shards. A collective."""
    own = [label_entropy(each) for each in labels.values() if each.dtype.kind in "iu"]
    everyone = world.gather_json([sizes, own])
    every_size = tuple(size for sizes, _ in everyone for size in sizes)
    return every_size, tuple(each for _, entropies in everyone for each in entropies)


def _check_batch(config: Config, source: Source, smallest: int) -> None:
    """Refuse a batch that holds samples of a shard more than once."""
    train, data = config.train, config.data
    per_step = train.batch_size * train.discriminator_steps
    if train.batch_size > smallest:
        raise ConfigError(
            f"train.batch_size is {train.batch_size}, but a shard of {_names(source)} holds "
            f"{smallest} samples ({len(source)} in {data.shards} shards); use a smaller batch, or "
            "fewer ranks or shards"
        )
    if data.uneven == "drop" and per_step > smallest:
        raise ConfigError(
            f"data.uneven is drop, but a step takes {per_step} samples of a shard and one of "
            f"{_names(source)} holds {smallest}: nothing would be left; use data.uneven: wrap"
        )


def _names(source: Source) -> str:
    """Return the names of a few files."""
    some = ", ".join(source.files[:3])
    return some if len(source.files) <= 3 else f"{some} and {len(source.files) - 3} more files"
