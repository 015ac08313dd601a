"""The command ``inspect``: what data files hold, told for people.

The files are read by the process that may die of them; ``describe_file`` is what it does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hpcgan import pictures
from hpcgan.errors import DataError
from hpcgan.files import check_is_file, writing
from hpcgan.hdf5 import Hdf5Error, ask


def describe(path: str, images: str, labels: str | None) -> str:
    """Return what a file holds, in a few lines.

    Args:
        path: the file.
        images: dataset of the samples.
        labels: dataset of the labels; None for "labels", if it is there.

    Raises:
        DataError: the file or a dataset is not there, or cannot be read.
    """
    lines, _ = _ask("lines", path, images, labels)
    return "\n  ".join([f"{path}: {Path(path).stat().st_size} bytes", *lines])


def draw(path: str, images: str, out: Path) -> None:
    """Draw a file's first samples in a grid.

    Raises:
        DataError: they cannot be read, or are no pictures.
        RunError: ``out`` cannot be written.
    """
    _, (samples,) = _ask("preview", path, images)
    with np.errstate(all="ignore"):  # NaN and infinity are drawn somehow; verify lists them
        if samples.dtype == np.float32 and (samples.min() >= 0 or abs(samples).max() > 1):
            low, high = samples.min(), samples.max()  # not in [-1, 1]: from the least to the most
            samples = (samples - low) / max(high - low, 1e-30) * 2 - 1
        picture = pictures.grid(samples)
    with writing(out):
        picture.save(out)


def _ask(function: str, path: str, *words: Any) -> tuple[Any, list[np.ndarray]]:
    """Have the process that reads HDF5 call a function of ``describe_file``."""
    check_is_file(Path(path), "data file", DataError)
    try:
        return ask(f"data_tools.describe_file:{function}", path, *words)
    except Hdf5Error as error:
        raise DataError(f"{path}: not readable as HDF5: {error}") from None
