"""How a run divides its data: what the configuration leaves open is decided here, and checked.

Where the samples are kept decides how they can be shuffled, and that decides whether whole chunks
are divided. The decisions become part of the run's configuration, so that it goes on in the same
way on other ranks or nodes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

import numpy as np

from hpcgan.config import Config, DataConfig
from hpcgan.data import shards
from hpcgan.data.shards import Piece
from hpcgan.data.source import Source
from hpcgan.errors import ConfigError, DataError
from hpcgan.memory import free_memory, free_shared_memory
from hpcgan.world import World

Residency = Literal["memory", "node", "stream"]


@dataclass(frozen=True)
class Division:
    """The data as this rank sees them.

    Attributes:
        residency: where the samples are while the run uses them.
        because: why, in a few words.
        pieces: of each shard that this rank hosts; if they are shared or staged, its node.
        hosted: the shards of this rank.
        sizes: samples of every shard, of all ranks.
        entropies: of every shard's labels, in bits; empty if they are no integers.
        labels: of the samples of each hosted shard, in the order of its pieces; empty without any.
        label_range: smallest and largest label of all the data; None without any.
    """

    residency: Residency
    because: str
    pieces: dict[int, list[Piece]]
    hosted: range
    sizes: tuple[int, ...]
    entropies: tuple[float, ...]
    labels: dict[int, np.ndarray]
    label_range: tuple[float, float] | None

    def describe(self, config: Config) -> str:
        """Return how the data are divided and kept, with the imbalance, in one line."""
        data = config.data
        smallest, largest = min(self.sizes), max(self.sizes)
        samples = f"{largest}" if smallest == largest else f"{smallest} to {largest}"
        text = f"{len(self.sizes)} {data.partition} shards of {samples} samples"
        if self.entropies:
            text += f", labels of {min(self.entropies):.3f} to {max(self.entropies):.3f} bits"
        steps = -(-largest // (config.train.batch_size * config.train.discriminator_steps))
        where = {"memory": "in memory", "node": "in the nodes' shared memory", "stream": "streamed"}
        pool = f"in a pool of {data.shuffle_chunks} chunks"
        return (
            f"{text}; all are seen in {steps} steps; {where[self.residency]} ({self.because}), "
            f"shuffled {pool if data.shuffle == 'chunks' else 'one by one'}"
        )


def divide_data(
    world: World, config: Config, source: Source, earlier: DataConfig | None
) -> tuple[Config, Division]:
    """Decide how the data are divided and kept. All ranks must call it, with the same arguments.

    Args:
        world: the ranks.
        config: with ``data.shards`` resolved to a number.
        source: the data.
        earlier: the data section of the run that is gone on from, if any.

    Returns:
        The configuration with all that was open in its data section, and the division.

    Raises:
        ConfigError, DataError: the division cannot work; the same on all ranks.
    """
    assert config.data.shards is not None
    _check_number(world, config.data.shards, source)
    room = _look_for_room(world, config.data, source)
    keeps_order = "samples" in (config.data.shuffle, earlier.shuffle if earlier else None)
    residency = world.together(lambda: _choose(config.data, room, keeps_order, _names(source)))
    data = world.together(lambda: _resolve(config.data, residency, source, earlier))
    config = dataclasses.replace(config, data=data)
    assert data.shards is not None
    hosted = shards.hosted_shards(data.shards, world.size, world.rank)
    labels = _labels(world, source)
    needed = list(hosted)
    if residency == "node" or data.stage:  # what a rank reads or copies may be for its neighbours
        needed = [shard for rank in world.node_ranks for shard in _hosted(data, world.size, rank)]
    pieces = shards.divide(
        data.partition, source.edges, data.shards, needed, bool(data.align), labels
    )
    own = {}
    if labels is not None:
        own = {s: np.concatenate([labels[np.r_[piece]] for piece in pieces[s]]) for s in hosted}
    sizes, entropies = _measure(world, [pieces[shard] for shard in hosted], own.values())
    because = "auto: " if config.data.residency == "auto" else ""
    because += f"{_bytes(room.need)} a node, {_bytes(room.free)} free"
    division = Division(
        residency=residency,
        because=because,
        pieces=pieces,
        hosted=hosted,
        sizes=sizes,
        entropies=entropies,
        labels=own,
        label_range=None if labels is None else (float(labels.min()), float(labels.max())),
    )
    world.together(lambda: _check_batch(config, source, min(sizes)))
    return config, division


def _hosted(data: DataConfig, ranks: int, rank: int) -> range:
    assert data.shards is not None
    return shards.hosted_shards(data.shards, ranks, rank)


def _check_number(world: World, number: int, source: Source) -> None:
    """Refuse a number of shards that leaves a shard without samples or a rank without shards."""

    def check() -> None:
        if len(source) < number:
            raise DataError(
                f"{_names(source)}: {len(source)} samples cannot be divided into {number} shards "
                "(data.shards, one a rank by default); use fewer ranks or shards, or more data"
            )
        if number < world.size:
            raise ConfigError(
                f"data.shards is {number}, but there are {world.size} ranks, and a rank without a "
                f"shard has no work; use at most {number} ranks"
            )

    world.together(check)


@dataclass(frozen=True)
class _Room:
    """What the decision about residency rests on, over all nodes, in bytes.

    Attributes:
        need: of the samples that one node hosts, the most.
        free: memory of a node, the least.
        shared: memory that the ranks of a node can share, the least.
        ranks: of a node, the most.
    """

    need: int
    free: int
    shared: int
    ranks: int


def _look_for_room(world: World, data: DataConfig, source: Source) -> _Room:
    """Return the room on the nodes; the same on all ranks, for the order depends on it.

    All ranks must call it.
    """
    assert data.shards is not None
    here = sum(len(_hosted(data, world.size, rank)) for rank in world.node_ranks)
    need = -(-len(source) * source.sample_bytes * here // data.shards)
    every = world.gather_json([need, free_memory(), free_shared_memory(), world.node_size])
    needs, frees, shareds, ranks = zip(*every, strict=True)
    return _Room(max(needs), min(frees), min(shareds), max(ranks))


def _choose(data: DataConfig, room: _Room, keeps_order: bool, names: str) -> Residency:
    """Choose where the samples are kept.

    Args:
        data: what the user asked for.
        room: on the nodes.
        keeps_order: whether the samples must be shuffled one by one, which cannot be streamed.
        names: of the files, for the error.
    """
    most = {"memory": room.free, "node": min(room.free, room.shared)}
    if data.residency == "auto":
        # A chunk of which several ranks need a part is read once a node instead of once a rank.
        dealt_out = data.partition == "balanced" or (data.partition == "strided" and not data.align)
        if dealt_out and room.ranks > 1 and room.need <= most["node"] // 2:
            return "node"
        if room.need <= most["memory"] // 2:
            return "memory"
        if not keeps_order:
            return "stream"
        raise DataError(
            f"{names}: the samples are shuffled one by one (data.shuffle: samples), for which "
            f"they must be in memory; they need {_bytes(room.need)} on a node that has "
            f"{_bytes(room.free)} free, half of which may be used: use more nodes"
        )
    if data.residency != "stream" and room.need > most[data.residency]:
        raise DataError(
            f"{names}: data.residency is {data.residency}, for which the samples need "
            f"{_bytes(room.need)} on a node that has {_bytes(most[data.residency])} free; use "
            "stream, or more nodes"
        )
    return data.residency


def _resolve(
    data: DataConfig, residency: Residency, source: Source, earlier: DataConfig | None
) -> DataConfig:
    """Decide how the samples are shuffled, and whether chunks or samples are divided."""
    shuffle, align = data.shuffle, data.align
    if shuffle == "auto":
        shuffle = earlier.shuffle if earlier else "chunks" if residency == "stream" else "samples"
    if align is None and earlier:
        align = earlier.align
    chunks = len(source.edges) - 1
    assert data.shards is not None
    if align is None:
        can_align = data.partition != "balanced" and chunks >= data.shards
        align = residency == "stream" and can_align
    if residency == "stream" and shuffle == "samples":
        raise ConfigError(
            f"{_names(source)}: the run began with data.shuffle: samples, which cannot be "
            "streamed; use --data.residency memory or node"
        )
    if align and chunks < data.shards:
        raise DataError(
            f"{_names(source)}: {chunks} chunks cannot be divided into {data.shards} shards; use "
            "data.align: false, or smaller chunks (hpcgan-data reshard --chunk)"
        )
    return dataclasses.replace(data, shuffle=shuffle, align=align)


def _labels(world: World, source: Source) -> np.ndarray | None:
    """Return all labels, read by rank 0, on all ranks; None if there are none. A collective."""
    if source.labels is None:
        return None
    held: list[np.ndarray] = []

    def read() -> str:
        held.append(source.read_labels())
        return held[0].dtype.str

    dtype = world.on_root(read)
    return world.broadcast_array(held[0] if held else np.empty(len(source), dtype))


def _measure(
    world: World, hosted: list[list[Piece]], labels: Iterable[np.ndarray]
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return the samples and the labels' entropy of all shards. A collective."""
    own = []
    for pieces, of_shard in zip_longest(hosted, labels):
        entropy = None
        if of_shard is not None and of_shard.dtype.kind in "iu":
            entropy = shards.label_entropy(of_shard)
        own.append([sum(len(piece) for piece in pieces), entropy])
    measured = [each for rank in world.gather_json(own) for each in rank]
    entropies = tuple(entropy for _, entropy in measured if entropy is not None)
    return tuple(size for size, _ in measured), entropies


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


def _bytes(count: int) -> str:
    """Return a number of bytes for people."""
    if count < 10**6:
        return f"{count / 1e3:.1f} KB"
    return f"{count / 1e6:.1f} MB" if count < 10**9 else f"{count / 1e9:.1f} GB"
