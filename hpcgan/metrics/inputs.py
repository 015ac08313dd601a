"""What the figures of a run are made from: its checkpoints, and data files to compare it with.

Whatever of it is missing or damaged is told in one line, as by the commands.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from hpcgan import checkpoint
from hpcgan.checkpoint import Checkpoint
from hpcgan.config import DataConfig
from hpcgan.data.chunks import ChunkReader
from hpcgan.data.source import Source, open_source
from hpcgan.errors import CheckpointError, DataError
from hpcgan.world import World


def newest_checkpoint(world: World, run_dir: Path) -> Checkpoint:
    """Return the newest whole checkpoint of a run. All ranks must call it.

    Raises:
        CheckpointError: there is none.
    """

    def find() -> Checkpoint:
        found, _ = checkpoint.newest(run_dir / "checkpoints")
        if found is None:
            raise CheckpointError(f"{run_dir}: there is no whole checkpoint")
        return found

    found = checkpoint.read_together(world, find)
    assert found
    return found


def read_samples(world: World, path: Path, images: str, like: Checkpoint) -> np.ndarray:
    """Return all samples of a data file. All ranks must call it.

    Args:
        world: the ranks.
        path: the file.
        images: its dataset.
        like: the checkpoint with whose samples they are compared.

    Returns:
        (N, *like.sample_shape), uint8 or float32, on all ranks.

    Raises:
        DataError: the file or dataset is missing or damaged, or holds samples of another shape.
    """
    return _read(world, DataConfig(files=[str(path)], images=images), like)[0]


def read_labelled(
    world: World, path: Path, images: str, labels: str, like: Checkpoint
) -> tuple[np.ndarray, np.ndarray]:
    """Return all samples of a data file, as ``read_samples``, and their labels, (N,).

    All ranks must call it.

    Raises:
        DataError: as ``read_samples``; or the same is wrong with the labels.
    """
    samples, source = _read(world, DataConfig([str(path)], images=images, labels=labels), like)
    return samples, world.together(source.read_labels)


def _read(world: World, data: DataConfig, like: Checkpoint) -> tuple[np.ndarray, Source]:
    """Return all samples of a file, and what its header says."""
    source = open_source(world, data)
    if source.sample_shape != like.sample_shape:
        error = DataError(
            f"{source.files[0]}: '{data.images}' holds samples of shape {source.sample_shape}, "
            f"but those of {like.path} have shape {like.sample_shape}"
        )
        error.agreed = True
        raise error
    return world.together(lambda: _all_samples(source)), source


def _all_samples(source: Source) -> np.ndarray:
    """Return all samples of a source, read chunk by chunk."""
    reader = ChunkReader(source, range(len(source.files)))
    samples = np.empty((len(source), *source.sample_shape), source.dtype)
    for begin, end in pairwise(source.edges.tolist()):
        samples[begin:end] = reader.read(range(begin, end))
    return samples
