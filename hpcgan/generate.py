"""``hpcgan generate``: samples from a checkpoint's generator, by one rank or many.

Sample i depends on the checkpoint, the seed and i alone: latents are drawn in numbered blocks,
which the ranks share out. Rank 0 collects the blocks and writes the file.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from hpcgan import checkpoint, pictures
from hpcgan.checkpoint import Checkpoint
from hpcgan.devices import prepare_tensorflow
from hpcgan.errors import ConfigError
from hpcgan.files import write_datasets, write_whole, writing
from hpcgan.world import World

_SUFFIXES = (".h5", ".npz", ".png")


def generate(
    world: World,
    path: Path,
    count: int,
    out: Path,
    seed: int = 0,
    label: float | None = None,
    trusted: bool = False,
) -> None:
    """Write ``count`` samples of the checkpoint ``path`` to ``out``.

    All ranks must call it. The samples have the data's dtype: in .h5 and .npz they are named
    ``images``, and the labels that they were asked for ``labels``: a data file that can be trained
    on; .png shows the samples in one grid.

    Args:
        world: the ranks.
        path: of the checkpoint.
        count: of samples.
        out: the file.
        seed: of the latents.
        label: that all samples get; None for classes in turn, or values in the range of the data.
        trusted: whether the functions that a checkpoint names for its networks may be run.

    Raises:
        ConfigError: the count, seed, label or the suffix of ``out`` is wrong, or the checkpoint
            names functions that may not be run.
        CheckpointError: the checkpoint is missing or damaged.
        RunError: ``out`` cannot be written.
    """
    world.together(lambda: _check(count, out, seed))
    found = checkpoint.read_together(world, lambda: checkpoint.read(path))
    assert found
    samples = sample(world, found, count, seed, label, trusted)
    if samples is not None:
        images, labels = samples
        _write(out, pictures.to_dtype(images, found.dtype), labels)
        print(f"{count} samples of {path} in {out}")


def _check(count: int, out: Path, seed: int) -> None:
    """Refuse options that are out of bounds."""
    if count < 1 or seed < 0:
        raise ConfigError(f"--count {count} --seed {seed}: count is at least 1, seed at least 0")
    if out.suffix not in _SUFFIXES:
        raise ConfigError(f"--out {out}: the suffix must be one of {', '.join(_SUFFIXES)}")


def _check_networks(found: Checkpoint, label: float | None, trusted: bool) -> None:
    """Refuse a label that the networks do not know, and code that a file asks for."""
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

    All ranks must call it, with the same arguments.

    Args:
        world: the ranks.
        found: the checkpoint.
        count: of samples.
        seed: of the latents.
        label: that all get; None for classes in turn, or values in the range of the data.
        trusted: whether the functions that the checkpoint names for its networks may be run.

    Raises:
        ConfigError: the networks know no such label, or their code may not be run.

    Returns:
        The samples, (count, *sample_shape), float32, as the generator makes them, and their
        labels, (count,), as they are in the data; None for networks without labels.
    """
    world.together(lambda: _check_networks(found, label, trusted))
    world.together(lambda: prepare_tensorflow(world))
    from hpcgan.gan import noise
    from hpcgan.gan.sampling import sampling_inputs
    from hpcgan.gan.state import State

    state = State(found.config, found.sample_shape)
    checkpoint.restore(world, state, found)
    model = found.config.model
    blocks = -(-count // noise.BLOCK)
    own = []
    # Rank r makes blocks r, r + size, ...; all make as many, so that each round can be gathered.
    for first in range(0, blocks, world.size):
        inputs, _ = sampling_inputs(model, seed, first + world.rank, label)
        own.append(world.gather_arrays(np.array(state.sampler(inputs, training=False))))
    if not world.is_root:
        return None
    labels = [sampling_inputs(model, seed, block, label)[1] for block in range(blocks)]
    known = [each for each in labels if each is not None]
    images = np.concatenate([block for block in own if block is not None])[:count]
    return images, np.concatenate(known)[:count] if known else None


def _write(out: Path, samples: np.ndarray, labels: np.ndarray | None) -> None:
    """Write samples in the format of the suffix."""
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    datasets = {"images": samples} if labels is None else {"images": samples, "labels": labels}
    if out.suffix == ".h5":
        write_datasets(out, datasets)
        return
    content = io.BytesIO()
    if out.suffix == ".npz":
        np.savez(content, **datasets)
    else:
        pictures.grid(samples).save(content, format="PNG")
    write_whole(out, content.getbuffer())
