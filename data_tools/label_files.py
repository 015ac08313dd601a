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
from data_tools.formats.arrays import read_npy_labels, read_npz_labels
from data_tools.formats.hdf5 import is_hdf5, read_labels
from data_tools.formats.mnist import is_idx, read_idx_labels
from hpcgan.errors import DataError


def read(path: Path, name: str | None, images: Images, account: Account) -> np.ndarray:
    """Return the labels in a file, as ``Images.labels`` are.

    Raises:
        DataError: it holds none, or not those of these images.
    """
    if is_hdf5(path):
        return read_labels(path, name, len(images))
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return read_npz_labels(path, name, len(images))
    if suffix == ".npy":
        return read_npy_labels(path, len(images))
    if suffix in (".csv", ".tsv", ".txt"):
        return named_labels.read_csv(path, name, images.names, account)
    if suffix == ".json":
        return named_labels.read_json(path, images.names, account)
    if is_idx(path):
        return read_idx_labels(path, len(images))
    raise DataError(
        f"{path}: labels are read from .csv, .npy, .npz, HDF5, IDX and dataset.json (--labels)"
    )
