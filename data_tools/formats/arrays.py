"""NumPy's .npy and .npz files."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from data_tools.formats import Images, of_arrays
from hpcgan.errors import DataError


def open_npy(source: Path, labels: Path | None) -> Images:
    """Open an array, with the labels of another file.

    Raises:
        DataError: a file is no such array, or holds Python objects.
    """
    return of_arrays(_load(source), None if labels is None else _load(labels), str(source))


def open_npz(source: Path, images: str, labels: str | None) -> Images:
    """Open an archive's arrays ``images`` and ``labels`` (None: "labels" if it is there).

    Raises:
        DataError: an array is not there, or holds Python objects.
    """
    try:
        with np.load(source, allow_pickle=False) as archive:
            wanted = labels or ("labels" if "labels" in archive else None)
            for name in (images, wanted):
                if name is not None and name not in archive:
                    raise DataError(
                        f"{source}: there is no array '{name}'; its arrays are: "
                        f"{', '.join(archive.files) or 'none'}"
                    )
            arrays = archive[images], None if wanted is None else archive[wanted]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{source}: not readable as .npz: {_first_line(error)}") from None
    return of_arrays(*arrays, str(source))


def _load(path: Path) -> np.ndarray:
    """Return a .npy file's array, read from the disk when it is used."""
    try:
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not readable as .npy: {_first_line(error)}") from None
    return array


def _first_line(error: Exception) -> str:
    """Return the first line of an error's text."""
    return str(error).splitlines()[0]
