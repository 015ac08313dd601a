"""What the figures of a run are made from: its checkpoints, and data files to compare it with.

What is missing or damaged is reported in one line, as by the commands.
"""

from __future__ import annotations

from collections.abc import Iterator
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


def open_samples(world: World, data: DataConfig, like: Checkpoint) -> Source:
    """Return a data file whose samples can be compared with a checkpoint's.

    All ranks must call it.

    Raises:
        DataError: a file or dataset is missing or damaged, or holds samples of another shape; the
            same on all ranks.
    """
    source = open_source(world, data)
    if source.sample_shape != like.sample_shape:
        raise DataError(
            f"{source.files[0]}: '{data.images}' holds samples of shape {source.sample_shape}, "
            f"but those of {like.path} have shape {like.sample_shape}",
            on_all_ranks=True,
        )
    return source


def read_chunks(source: Source) -> Iterator[np.ndarray]:
    """Yield all samples in order, (n, *sample_shape), as many at a time as are read at once.

    A chunk may be overwritten when the next one is read.

    Raises:
        DataError: they cannot be read.
    """
    reader = ChunkReader(source, range(len(source.files)))
    for begin, end in pairwise(source.chunk_offsets.tolist()):
        if begin < end:
            yield reader.read(range(begin, end))
