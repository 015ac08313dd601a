"""NumPy's .npy and .npz files, and datasets of other HDF5 files."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import h5py
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


def open_hdf5(source: Path, images: str, labels: str | None) -> Images:
    """Open the datasets ``images`` and ``labels`` (None: "labels" if it is there).

    Raises:
        DataError: the file is not HDF5, or a dataset is not there.
    """
    try:
        file = h5py.File(source, "r", locking=False)
    except OSError as error:
        raise DataError(f"{source}: not readable as HDF5: {error}") from None
    wanted = labels or ("labels" if "labels" in file else None)
    datasets: list[Any] = []
    for name in (images, wanted):
        dataset = None if name is None else file.get(name)
        if name is not None and not isinstance(dataset, h5py.Dataset):
            there = ", ".join(k for k, v in file.items() if isinstance(v, h5py.Dataset)) or "none"
            raise DataError(f"{source}: there is no dataset '{name}'; its datasets are: {there}")
        datasets.append(dataset)
    opened = of_arrays(datasets[0], datasets[1], str(source))

    def read(samples: range) -> tuple[np.ndarray, np.ndarray | None]:
        try:
            return opened.read(samples)
        except OSError as error:
            raise DataError(
                f"{source}: samples {samples.start} to {samples.stop - 1} cannot be read: {error}"
            ) from None

    return Images(opened.samples, opened.shape, opened.dtype, opened.labels, read)


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
