"""``hpcgan generate``: samples from a checkpoint's generator, by one rank or many.

Sample i depends on the checkpoint, the seed and i alone: latents are drawn in numbered blocks,
which the ranks share out. Rank 0 takes the blocks one after the other and writes the file.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hpcgan import checkpoint, pictures
from hpcgan.checkpoint import Checkpoint
from hpcgan.devices import prepare_tensorflow
from hpcgan.errors import ConfigError
from hpcgan.files import default_chunk, hdf5_on_disk, write_whole, writing
from hpcgan.world import World

_SUFFIXES = (".h5", ".npz", ".png")

# Samples that follow one another, (n, *sample_shape), and their labels, (n,), or None.
Block = tuple[np.ndarray, np.ndarray | None]


def generate(
    world: World,
    path: Path,
    count: int,
    out: Path,
    seed: int = 0,
    label: float | None = None,
    trusted: bool = False,
) -> None:
    """Write ``count`` samples of the checkpoint ``path``, from latents of ``seed``, to ``out``.

    All ranks must call it. The samples have the data's dtype: in .h5 and .npz they are named
    ``images``, and their labels ``labels``: a data file that can be trained on; .png shows the
    samples in one grid. Those of .h5 need not fit in memory. All get the ``label``; None is for
    classes in turn, or values in the range of the data. ``trusted`` says whether the functions
    that a checkpoint names for its networks may be run.

    Raises:
        ConfigError: the count, seed, label or the suffix of ``out`` is wrong, or the checkpoint
            names functions that may not be run.
        CheckpointError: the checkpoint is missing or damaged.
        RunError: ``out`` cannot be written.
    """
    world.all_or_raise(lambda: _check(count, out, seed))
    world.on_root(lambda: _make_directory(out))
    found = checkpoint.read_together(world, lambda: checkpoint.read(path))
    assert found
    made = blocks(world, found, count, seed, label, trusted)
    parts = (_datasets(pictures.to_dtype(images, found.dtype), labels) for images, labels in made)
    if world.is_root:
        _write(out, parts, count)
        print(f"{count} samples of {path} in {out}")
    else:
        list(parts)  # gives this rank's samples to rank 0


def _check(count: int, out: Path, seed: int) -> None:
    """Refuse options that are out of bounds."""
    if count < 1 or seed < 0:
        raise ConfigError(f"--count {count} --seed {seed}: count is at least 1, seed at least 0")
    if out.suffix not in _SUFFIXES:
        raise ConfigError(f"--out {out}: the suffix must be one of {', '.join(_SUFFIXES)}")


def _check_networks(found: Checkpoint, label: float | None, trusted: bool) -> None:
    """Refuse a label that the networks do not know, and code that a file names."""
    model = found.config.model
    named = [each for each in (model.generator, model.discriminator) if each is not None]
    if named and not trusted:
        raise ConfigError(
            f"{found.path}: its networks are built by {' and '.join(named)}; if you trust that "
            "code and the file, use hpcgan generate with --trust-networks"
        )
    if label is None:
        return
    if model.condition == "none":
        raise ConfigError(f"--label {label:g}: {found.path} is of networks without labels")
    if model.condition == "regression":
        assert model.label_range is not None
        low, high = model.label_range
        fits = low <= label <= high
    else:
        assert model.classes is not None
        low, high = 0, model.classes - 1
        fits = label in range(model.classes)
    if not fits:
        raise ConfigError(f"--label {label:g}: the labels of {found.path} are {low:g} to {high:g}")


def sample(
    world: World,
    found: Checkpoint,
    count: int,
    seed: int,
    label: float | None = None,
    trusted: bool = False,
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Return samples 0 to ``count`` - 1 of ``seed`` on rank 0, None on others.

    All ranks must call it, with the same arguments, which are those of ``generate``.

    Raises:
        ConfigError: the networks have no such label, or their code may not be run.

    Returns:
        The samples, (count, *sample_shape), float32, as the generator makes them, and their
        labels, (count,), as they are in the data; None for networks without labels.
    """
    made = list(blocks(world, found, count, seed, label, trusted))
    if not world.is_root:
        return None
    labels = [each for _, each in made if each is not None]
    images = np.concatenate([images for images, _ in made])
    return images, np.concatenate(labels) if labels else None


def blocks(
    world: World,
    found: Checkpoint,
    count: int,
    seed: int,
    label: float | None = None,
    trusted: bool = False,
) -> Iterator[Block]:
    """Yield on rank 0 what ``sample`` returns, block by block; nothing on others.

    All ranks must take all that it yields.
    """
    world.all_or_raise(lambda: _check_networks(found, label, trusted))
    world.all_or_raise(lambda: prepare_tensorflow(world))
    from hpcgan.gan import noise
    from hpcgan.gan.sampling import sampling_inputs
    from hpcgan.gan.state import State

    state = State(found.config, found.sample_shape)
    checkpoint.restore(world, state, found)
    model = found.config.model
    # Rank r makes blocks r, r + size, ...; all make as many, so that each round can be gathered.
    for first in range(0, -(-count // noise.BLOCK), world.size):
        inputs, _ = sampling_inputs(model, seed, first + world.rank, label)
        own = np.array(state.sampler(inputs, training=False))
        for block, images in enumerate(world.arrays_in_turn(own), start=first):
            here = min(noise.BLOCK, count - block * noise.BLOCK)
            if here > 0:
                labels = sampling_inputs(model, seed, block, label)[1]
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
