"""NumPy's .npy and .npz files."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from data_tools.account import Account
from data_tools.conversion import Conversion
from data_tools.formats import Format, Images, of_array, on_each_rank
from hpcgan.errors import DataError


def read_npy(path: Path) -> np.ndarray:
    """Return a .npy file's array, read from the disk when it is used.

    Raises:
        DataError: it is no such file, or holds Python objects.
    """
    try:
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not readable as .npy: {_first_line(error)}") from None
    return array


def read_npz(path: Path, name: str) -> np.ndarray:
    """Return an array of an archive.

    Raises:
        DataError: it is not there, or holds Python objects.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            if name not in archive:
                raise DataError(
                    f"{path}: there is no array '{name}'; its arrays are: "
                    f"{', '.join(archive.files) or 'none'}"
                )
            found: np.ndarray = archive[name]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not readable as .npz: {_first_line(error)}") from None
    return found


def _names(path: Path) -> list[str]:
    """Return the names of an archive's arrays."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return list(archive.files)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not readable as .npz: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    """Return the first line of an error's text."""
    return str(error).splitlines()[0]


def _open_npy(conversion: Conversion, account: Account) -> Images:
    source = conversion.source
    return of_array(read_npy(source), None, str(source))


def _open_npz(conversion: Conversion, account: Account) -> Images:
    """Open an archive's arrays: "images" and "labels", or those that are named."""
    source = conversion.source
    labels = conversion.own_labels or ("labels" if "labels" in _names(source) else None)
    images = read_npz(source, conversion.images or "images")
    return of_array(images, None if labels is None else read_npz(source, labels), str(source))


def _has_suffix(suffix: str):  # type: ignore[no-untyped-def]
    return lambda source: source.is_file() and source.suffix.lower() == suffix


NPY = Format("npy", _has_suffix(".npy"), on_each_rank(_open_npy))
NPZ = Format("npz", _has_suffix(".npz"), on_each_rank(_open_npz), frozenset({"images"}))
