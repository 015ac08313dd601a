"""The command ``inspect``: what data files hold, as text for people.

The files are read by a process that damage may kill, with the functions of ``describe_file``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data_tools import describe_file
from hpcgan import pictures
from hpcgan.errors import DataError
from hpcgan.files import check_is_file, writing
from hpcgan.hdf5 import call_on_data


def describe(path: str, images: str, labels: str | None) -> str:
    """Return what a file holds, in a few lines.

    ``images`` and ``labels`` are the datasets; None for "labels", if it is there.

    Raises:
        DataError: the file or a dataset is not there, or cannot be read.
    """
    check_is_file(Path(path), "data file", DataError)
    lines, _ = call_on_data(describe_file.lines, path, images, labels)
    return "\n  ".join([f"{path}: {Path(path).stat().st_size} bytes", *lines])


def draw(path: str, images: str, out: Path) -> None:
    """Draw a file's first samples in a grid.

    Raises:
        DataError: they cannot be read, or are no pictures.
        RunError: ``out`` cannot be written.
    """
    check_is_file(Path(path), "data file", DataError)
    _, (samples,) = call_on_data(describe_file.preview, path, images)
    with np.errstate(all="ignore"):  # NaN and infinity are drawn somehow; verify lists them
        if samples.dtype == np.float32 and (samples.min() >= 0 or abs(samples).max() > 1):
            low, high = samples.min(), samples.max()  # not in [-1, 1]: from the least to the most
            samples = (samples - low) / max(high - low, 1e-30) * 2 - 1
        picture = pictures.grid(samples)
    with writing(out):
        picture.save(out)
