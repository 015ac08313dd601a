"""Files of generated samples: HDF5, NumPy's, or a picture.

The samples have the data's dtype, or are float32 in the units of the source if the data's had been
mapped. In .h5 and .npz they are named ``images``, and their labels ``labels``: a data file that can
be trained on, unless the axes are in another order. .png shows the samples in one grid, as the
networks see them. Those of .h5 need not fit in memory.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hpcgan import layouts, pictures
from hpcgan.checkpoint import Checkpoint
from hpcgan.data.values import inverse
from hpcgan.files import default_chunk, hdf5_on_disk, write_whole
from hpcgan.world import World

SUFFIXES = (".h5", ".npz", ".png")

# Samples that follow one another, (n, *sample_shape), and their labels, (n,) or (n, K), or None.
Block = tuple[np.ndarray, np.ndarray | None]


def save(
    world: World,
    made: Iterator[Block],
    found: Checkpoint,
    out: Path,
    count: int,
    layout: str | None = None,
) -> None:
    """Write ``count`` samples to ``out``. All ranks must call it.

    Args:
        world: all ranks.
        made: on rank 0 the samples; all ranks take all that it yields.
        found: a checkpoint of such samples.
        out: the file.
        count: of the samples.
        layout: the order of their axes; None for the networks'.

    Raises:
        RunError: ``out`` cannot be written.
    """
    mapping = () if out.suffix == ".png" else found.samples.mapping

    def written(images: np.ndarray) -> np.ndarray:
        images = inverse(mapping, pictures.to_dtype(images, found.dtype))
        return layouts.arranged(images, layout) if layout else images

    parts = (_datasets(written(images), labels) for images, labels in made)
    if world.is_root:
        _write(out, parts, count)
    else:
        list(parts)  # gives this rank's samples to rank 0


def _datasets(images: np.ndarray, labels: np.ndarray | None) -> dict[str, np.ndarray]:
    return {"images": images} if labels is None else {"images": images, "labels": labels}


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
