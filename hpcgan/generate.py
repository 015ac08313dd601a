"""``hpcgan generate``: samples from a checkpoint's generator, by one rank or many.

Sample i depends on the checkpoint, the seed and i alone: latents are drawn in numbered blocks,
which the ranks share out. Rank 0 takes the blocks one after the other and writes the file, in the
units of the source where the data's attribute ``values`` says how these were mapped. Several
generators may take turns (``hpcgan.ensemble``); one alone has all of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hpcgan import checkpoint, layouts, population_commit
from hpcgan.blocks import BLOCK
from hpcgan.checkpoint import Checkpoint
from hpcgan.devices import prepare_tensorflow
from hpcgan.errors import CheckpointError, ConfigError
from hpcgan.files import writing
from hpcgan.gan import conditions
from hpcgan.samples_file import SUFFIXES, Block, save
from hpcgan.turns import PERIOD, Turns
from hpcgan.world import World

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Wanted:
    """Which samples are made.

    Attributes:
        count: how many, at least 1.
        seed: of their latents, at least 0.
        label: of all of them (``conditions.asked_for``); None for those that are drawn.
        draw: how classes are drawn: in turn, or as often as in the data. Real values are uniform in
            the range of the data.
        trusted: whether the functions that a checkpoint names for its networks may be run.
    """

    count: int
    seed: int = 0
    label: str | None = None
    draw: conditions.Draw = "turn"
    trusted: bool = False


def generate(
    world: World, path: Path, wanted: Wanted, out: Path, layout: str | None = None
) -> None:
    """Write samples of a checkpoint, or of a run's newest whole one, to ``out``.

    All ranks must call it. What is written: ``samples_file``.

    Raises:
        ConfigError: the count, seed, label, layout or the suffix of ``out`` is wrong, the path is a
            population's, or the checkpoint names functions that may not be run.
        CheckpointError: the checkpoint is missing or damaged.
        RunError: ``out`` cannot be written.
    """
    prepare(world, wanted, out, layout)
    found = checkpoint.read_together(world, lambda: _find(path))
    assert found
    check_layout(world, found, layout)
    save(world, blocks(world, found, wanted), found, out, wanted.count, layout)
    if world.is_root:
        print(f"{wanted.count} samples of {found.path} in {out}")


def prepare(world: World, wanted: Wanted, out: Path, layout: str | None) -> None:
    """Check the options, and make the directory of ``out``. All ranks must call it."""
    world.all_or_raise(lambda: _check(wanted, out, layout))
    world.on_root(lambda: _make_directory(out))


def check_layout(world: World, found: Checkpoint, layout: str | None) -> None:
    """Refuse a layout that is not for a checkpoint's samples. All ranks must call it."""
    if layout:
        world.all_or_raise(lambda: layouts.check(layout, found.sample_shape))


def _find(path: Path) -> Checkpoint:
    """Return the checkpoint that a path is, or the newest whole one of a run directory."""
    if not os.path.isdir(path):  # noqa: PTH112  # Path's raises where one may not look
        return checkpoint.read(path)
    if population_commit.read(path):
        raise ConfigError(
            f"{path}: is a population's; name a member, {path / 'member_0'} say, or use --ensemble "
            "for a mixture of all"
        )
    found, _ = checkpoint.newest(path / "checkpoints")
    if found is None:
        raise CheckpointError(f"{path}: there is no whole checkpoint")
    return found


def _check(wanted: Wanted, out: Path, layout: str | None) -> None:
    """Refuse options that are out of bounds."""
    count, seed = wanted.count, wanted.seed
    if count < 1 or seed < 0:
        raise ConfigError(f"--count {count} --seed {seed}: count is at least 1, seed at least 0")
    if out.suffix not in SUFFIXES:
        raise ConfigError(f"--out {out}: the suffix must be one of {', '.join(SUFFIXES)}")
    if layout and out.suffix == ".png":
        raise ConfigError(f"--layout {layout} is for .h5 and .npz, and --out is {out}")
    if wanted.label is not None and wanted.draw != "turn":
        raise ConfigError(f"--label {wanted.label} is of all samples, so that none is to --draw")


def _make_directory(out: Path) -> None:
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)


def check_trusted(found: Checkpoint, command: str) -> None:
    """Refuse a checkpoint that names functions for its networks: they would be run."""
    model = found.config.model
    named = [each for each in (model.generator, model.discriminator) if each is not None]
    if named:
        raise ConfigError(
            f"{found.path}: its networks are built by {' and '.join(named)}; if you trust that "
            f"code and the file, use hpcgan {command} with --trust-networks"
        )


def checked_label(found: Checkpoint, wanted: Wanted) -> np.ndarray | None:
    """Return the label of all samples, if any; refuse one that is not there, and a file's code."""
    model = found.config.model
    if not wanted.trusted:
        check_trusted(found, "generate")
    if wanted.draw == "data" and not found.samples.counts:
        raise ConfigError(f"--draw data: {found.path} does not know how often each class was there")
    if wanted.label is None:
        return None
    return conditions.asked_for(model, found.samples, wanted.label, str(found.path))


@dataclass(frozen=True)
class Sampler:
    """Makes a checkpoint's samples, in blocks; needs no other rank.

    Attributes:
        network: its (averaged) generator.
        found: the checkpoint.
        wanted: what is asked for.
        label: of all samples, as the networks' labels are; None for those that are drawn.
    """

    network: keras.Model
    found: Checkpoint
    wanted: Wanted
    label: np.ndarray | None

    def images(self, block: int) -> np.ndarray:
        """Return the samples of a block, (BLOCK, *sample_shape), as the generator makes them."""
        inputs, _ = self._inputs(block)
        return np.array(self.network(inputs, training=False))

    def labels(self, block: int) -> np.ndarray | None:
        """Return their labels, (BLOCK,) or (BLOCK, K), as in the data; None for no labels."""
        _, labels = self._inputs(block)
        return labels

    def _inputs(self, block: int) -> tuple[Any, np.ndarray | None]:
        from hpcgan.gan.sampling import sampling_inputs

        found, wanted = self.found, self.wanted
        drawn = (found.samples.counts, wanted.draw, self.label)
        return sampling_inputs(found.config.model, wanted.seed, block, *drawn)


def sample(
    world: World, found: Checkpoint, wanted: Wanted
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Return samples of a checkpoint on rank 0, None on others.

    All ranks must call it, with the same arguments.

    Raises:
        ConfigError: the networks have no such label, or their code may not be run.

    Returns:
        The samples, (count, *sample_shape), float32, as the generator makes them, and their
        labels, (count,) or (count, K), as they are in the data; None for networks without labels.
    """
    made = list(blocks(world, found, wanted))
    if not world.is_root:
        return None
    labels = [each for _, each in made if each is not None]
    images = np.concatenate([images for images, _ in made])
    return images, np.concatenate(labels) if labels else None


def blocks(world: World, found: Checkpoint, wanted: Wanted) -> Iterator[Block]:
    """Yield on rank 0 what ``sample`` returns, block by block; nothing on others.

    All ranks must take all that it yields.
    """
    sampler = open_sampler(world, found, wanted)
    yield from in_turns(world, [sampler], Turns(np.array([PERIOD])), wanted.count)


def open_sampler(world: World, found: Checkpoint, wanted: Wanted) -> Sampler:
    """Return what makes the samples of a checkpoint (``read_together``). All ranks must call it.

    Raises:
        ConfigError: the networks have no such label, or their code may not be run.
        CheckpointError: the checkpoint's variables are not those of its networks.
    """
    label = world.all_or_raise(lambda: checked_label(found, wanted))
    world.all_or_raise(lambda: prepare_tensorflow(world))
    from hpcgan.gan.state import State

    state = State(found.config, found.sample_shape)
    checkpoint.restore(world, state, found)
    return Sampler(state.sampler, replace(found, groups={}), wanted, label)


class _Needed(NamedTuple):
    """A block of a sampler's.

    Attributes:
        sample: the first of all samples that is in it.
        sampler: its number.
        block: the block's number among the sampler's.
    """

    sample: int
    sampler: int
    block: int


def in_turns(
    world: World, samplers: Sequence[Sampler], turns: Turns, count: int
) -> Iterator[Block]:
    """Yield on rank 0 samples that several samplers make in turns; nothing on others.

    The j-th sample that a sampler makes is its own sample j. Each block of a sampler's is made
    once: the ranks share out the blocks of all, in the order in which they are needed. All ranks
    must take all that it yields.
    """
    needed = _needed(turns, len(samplers), count)
    ends = [each.sample for each in needed[1:]] + [count]
    newest: dict[int, Block] = {}  # of each sampler; rank 0 needs no earlier one again
    for first in range(0, len(needed), world.size):
        # All make as many, so that each round can be gathered; of the last some are made twice.
        mine = needed[min(first + world.rank, len(needed) - 1)]
        own = samplers[mine.sampler].images(mine.block)
        for place, images in enumerate(world.arrays_in_turn(own), start=first):
            if place < len(needed):
                begin, number, block = needed[place]
                newest[number] = images, samplers[number].labels(block)
                yield _taken(newest, turns, np.arange(begin, ends[place]))


def _needed(turns: Turns, samplers: int, count: int) -> list[_Needed]:
    """Return the blocks that hold the first ``count`` samples, as they are needed."""
    needed = []
    for sampler in range(samplers):
        numbers = np.arange(0, turns.made(sampler, count), BLOCK)
        firsts = turns.samples(sampler, numbers).tolist()
        needed += [_Needed(first, sampler, block) for block, first in enumerate(firsts)]
    return sorted(needed)


def _taken(newest: dict[int, Block], turns: Turns, samples: np.ndarray) -> Block:
    """Return some samples, all of which are in the samplers' newest blocks."""
    sampler, number = turns.of(samples)
    of_any, any_labels = next(iter(newest.values()))
    images = np.empty((len(samples), *of_any.shape[1:]), of_any.dtype)
    labels = None
    if any_labels is not None:
        labels = np.empty((len(samples), *any_labels.shape[1:]), any_labels.dtype)
    for each in np.unique(sampler).tolist():
        here = sampler == each
        own, own_labels = newest[each]
        images[here] = own[number[here] % BLOCK]
        if labels is not None and own_labels is not None:
            labels[here] = own_labels[number[here] % BLOCK]
    return images, labels
