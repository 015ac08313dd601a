"""Labels that are in a file of their own: ``--labels FILE``, or ``FILE:NAME`` of several arrays.

.npy, .npz, HDF5 and IDX hold them in the order of the samples; a table and StyleGAN's dataset.json
name the samples.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data_tools import named_labels
from data_tools.account import Account
from data_tools.formats import Images
from data_tools.formats.arrays import read_npy, read_npz
from data_tools.formats.hdf5 import is_hdf5, read_hdf5
from data_tools.formats.mnist import is_idx, read_idx
from hpcgan.errors import DataError


def read(path: Path, name: str | None, images: Images, account: Account) -> np.ndarray:
    """Return the labels in a file, as ``Images.labels`` are.

    Raises:
        DataError: it holds none, or not those of these images.
    """
    if is_hdf5(path):
        return read_hdf5(path, name or "labels")
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return read_npz(path, name or "labels")
    if suffix == ".npy":
        return read_npy(path)
    if suffix in (".csv", ".tsv", ".txt"):
        return named_labels.read_csv(path, name, images.names, account)
    if suffix == ".json":
        return named_labels.read_json(path, images.names, account)
    if is_idx(path):
        return read_idx(path)
    raise DataError(
        f"{path}: labels are read from .csv, .npy, .npz, HDF5, IDX and dataset.json (--labels)"
    )
