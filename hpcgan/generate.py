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


def generate(world: World, path: Path, count: int, out: Path, seed: int) -> None:
    """Write ``count`` samples of the checkpoint ``path`` to ``out``.

    All ranks must call it. The samples have the data's dtype: in .h5 and .npz they are named
    ``images``, a data file that can be trained on; .png shows them in one grid.

    Raises:
        ConfigError: the count, seed or the suffix of ``out`` is wrong.
        CheckpointError: the checkpoint is missing or damaged.
        RunError: ``out`` cannot be written.
    """
    world.together(lambda: _check(count, out, seed))
    found = checkpoint.read_together(world, lambda: checkpoint.read(path))
    assert found
    samples = sample(world, found, count, seed)
    if samples is not None:
        _write(out, pictures.to_dtype(samples, found.dtype))
        print(f"{count} samples of {path} in {out}")


def _check(count: int, out: Path, seed: int) -> None:
    """Refuse options that are out of bounds."""
    if count < 1 or seed < 0:
        raise ConfigError(f"--count {count} --seed {seed}: count is at least 1, seed at least 0")
    if out.suffix not in _SUFFIXES:
        raise ConfigError(f"--out {out}: the suffix must be one of {', '.join(_SUFFIXES)}")


def sample(world: World, found: Checkpoint, count: int, seed: int) -> np.ndarray | None:
    """Return samples 0 to ``count`` - 1 of ``seed`` on rank 0, None on others.

    All ranks must call it, with the same arguments.

    Returns:
        (count, *sample_shape), float32, as the generator makes them.
    """
    prepare_tensorflow(world)
    from hpcgan.gan import noise
    from hpcgan.gan.state import State

    state = State(found.config, found.sample_shape)
    checkpoint.restore(world, state, found)
    blocks = -(-count // noise.BLOCK)
    own = []
    # Rank r makes blocks r, r + size, ...; all make as many, so that each round can be gathered.
    for first in range(0, blocks, world.size):
        latents = noise.sampling_latents(seed, first + world.rank, found.config.model.latent_dim)
        own.append(world.gather_arrays(np.array(state.generator(latents, training=False))))
    if not world.is_root:
        return None
    return np.concatenate([block for block in own if block is not None])[:count]


def _write(out: Path, samples: np.ndarray) -> None:
    """Write samples in the format of the suffix."""
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".h5":
        write_datasets(out, {"images": samples})
        return
    content = io.BytesIO()
    if out.suffix == ".npz":
        np.savez(content, images=samples)
    else:
        pictures.grid(samples).save(content, format="PNG")
    write_whole(out, content.getbuffer())
