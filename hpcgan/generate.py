"""``hpcgan generate``: samples from a checkpoint's generator, by one rank or many.

Sample i depends on the checkpoint, the seed and i alone: latents are drawn in numbered blocks,
which the ranks share out. Rank 0 takes the blocks one after the other and writes the file, in the
units of the source where the data's attribute ``values`` says how these were mapped.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpcgan import checkpoint, layouts, pictures
from hpcgan.blocks import BLOCK
from hpcgan.checkpoint import Checkpoint
from hpcgan.data.values import inverse
from hpcgan.devices import prepare_tensorflow
from hpcgan.errors import ConfigError
from hpcgan.files import default_chunk, hdf5_on_disk, write_whole, writing
from hpcgan.gan import conditions
from hpcgan.world import World

_SUFFIXES = (".h5", ".npz", ".png")

# Samples that follow one another, (n, *sample_shape), and their labels, (n,) or (n, K), or None.
Block = tuple[np.ndarray, np.ndarray | None]


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
    """Write samples of the checkpoint ``path`` to ``out``.

    All ranks must call it. The samples have the data's dtype, or are float32 in the units of the
    source if the data's had been mapped. In .h5 and .npz they are named ``images``, and their
    labels ``labels``: a data file that can be trained on, unless ``layout`` asks for another order
    of the axes. .png shows the samples in one grid, as the networks see them. Those of .h5 need not
    fit in memory.

    Raises:
        ConfigError: the count, seed, label, layout or the suffix of ``out`` is wrong, or the
            checkpoint names functions that may not be run.
        CheckpointError: the checkpoint is missing or damaged.
        RunError: ``out`` cannot be written.
    """
    world.all_or_raise(lambda: _check(wanted, out, layout))
    world.on_root(lambda: _make_directory(out))
    found = checkpoint.read_together(world, lambda: checkpoint.read(path))
    assert found
    if layout:
        world.all_or_raise(lambda: layouts.check(layout, found.sample_shape))
    mapping = () if out.suffix == ".png" else found.samples.mapping

    def written(made: np.ndarray) -> np.ndarray:
        images = inverse(mapping, pictures.to_dtype(made, found.dtype))
        return layouts.arranged(images, layout) if layout else images

    count = wanted.count
    parts = (_datasets(written(made), labels) for made, labels in blocks(world, found, wanted))
    if world.is_root:
        _write(out, parts, count)
        print(f"{count} samples of {path} in {out}")
    else:
        list(parts)  # gives this rank's samples to rank 0


def _check(wanted: Wanted, out: Path, layout: str | None) -> None:
    """Refuse options that are out of bounds."""
    count, seed = wanted.count, wanted.seed
    if count < 1 or seed < 0:
        raise ConfigError(f"--count {count} --seed {seed}: count is at least 1, seed at least 0")
    if out.suffix not in _SUFFIXES:
        raise ConfigError(f"--out {out}: the suffix must be one of {', '.join(_SUFFIXES)}")
    if layout and out.suffix == ".png":
        raise ConfigError(f"--layout {layout} is for .h5 and .npz, and --out is {out}")
    if wanted.label is not None and wanted.draw != "turn":
        raise ConfigError(f"--label {wanted.label} is of all samples, so that none is to --draw")


def check_trusted(found: Checkpoint, command: str) -> None:
    """Refuse a checkpoint that names functions for its networks: they would be run."""
    model = found.config.model
    named = [each for each in (model.generator, model.discriminator) if each is not None]
    if named:
        raise ConfigError(
            f"{found.path}: its networks are built by {' and '.join(named)}; if you trust that "
            f"code and the file, use hpcgan {command} with --trust-networks"
        )


def _checked_label(found: Checkpoint, wanted: Wanted) -> np.ndarray | None:
    """Return the label of all samples, if any; refuse one that is not there, and a file's code."""
    model = found.config.model
    if not wanted.trusted:
        check_trusted(found, "generate")
    if wanted.draw == "data" and not found.samples.counts:
        raise ConfigError(f"--draw data: {found.path} does not know how often each class was there")
    if wanted.label is None:
        return None
    return conditions.asked_for(model, found.samples, wanted.label, str(found.path))


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
    label = world.all_or_raise(lambda: _checked_label(found, wanted))
    world.all_or_raise(lambda: prepare_tensorflow(world))
    from hpcgan.gan.sampling import sampling_inputs
    from hpcgan.gan.state import State

    state = State(found.config, found.sample_shape)
    checkpoint.restore(world, state, found)
    drawn = (found.samples.counts, wanted.draw, label)
    model, seed, count = found.config.model, wanted.seed, wanted.count
    # Rank r makes blocks r, r + size, ...; all make as many, so that each round can be gathered.
    for first in range(0, -(-count // BLOCK), world.size):
        inputs, _ = sampling_inputs(model, seed, first + world.rank, *drawn)
        own = np.array(state.sampler(inputs, training=False))
        for block, images in enumerate(world.arrays_in_turn(own), start=first):
            here = min(BLOCK, count - block * BLOCK)
            if here > 0:
                labels = sampling_inputs(model, seed, block, *drawn)[1]
                yield images[:here], None if labels is None else labels[:here]


def _datasets(images: np.ndarray, labels: np.ndarray | None) -> dict[str, np.ndarray]:
    return {"images": images} if labels is None else {"images": images, "labels": labels}


def _make_directory(out: Path) -> None:
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)


def _write(out: Path, parts: Iterator[dict[str, np.ndarray]], count: int) -> None:
    """Write ``count`` samples, of which each part holds some, in the format of the suffix."""
    if out.suffix == ".h5":
        _write_hdf5(out, parts, count)
        return
    every = list(parts)
    datasets = {name: np.concatenate([part[name] for part in every]) for name in every[0]}
    content = io.BytesIO()
    if out.suffix == ".npz":
        np.savez(content, **datasets)
    else:
        pictures.grid(datasets["images"]).save(content, format="PNG")
    write_whole(out, content.getbuffer())


def _write_hdf5(out: Path, parts: Iterator[dict[str, np.ndarray]], count: int) -> None:
    """Write each part as it comes."""
    with hdf5_on_disk(out) as file:
        end = 0
        for part in parts:
            begin, end = end, end + len(part["images"])
            for name, array in part.items():
                if name not in file:
                    chunk = default_chunk(array[0].nbytes, count)
                    shape, chunks = ((n, *array.shape[1:]) for n in (count, chunk))
                    file.create_dataset(name, shape, array.dtype, chunks=chunks)
                file[name][begin:end] = array
