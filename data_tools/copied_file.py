"""What ``convert`` and ``reshard`` take from the HDF5 files that they copy.

For the process that reads HDF5 (``hpcgan.hdf5_process``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from hpcgan import hdf5_limits
from hpcgan.data import checks
from hpcgan.errors import DataError

_MOST_ATTRIBUTE = 60_000  # bytes; HDF5 has room for 64 KiB, with their header


@hdf5_limits.served
def arrays(file: str, images: str, labels: str | None) -> Iterator[Any]:
    """Yield name, shape, dtype and samples of a chunk of the images, and of the labels if any.

    ``images`` and ``labels`` are the datasets, unlike for a run in any files; None for "labels", if
    it is there, and "none" for none.

    Raises:
        DataError: a dataset is not there, or cannot be read.
    """
    with h5py.File(file, "r", locking=False) as opened:
        found = []
        wanted = labels or ("labels" if checks.has_dataset(opened, "labels") else "none")
        for name in (images,) if wanted == "none" else (images, wanted):
            array = checks.dataset(opened, file, name, may_be_raw=True)
            if not array.shape:
                raise DataError(f"{file}: dataset '{name}' has shape {array.shape}; it is no array")
            if array.dtype.kind in "iuf":  # others are refused by their dtype
                checks.check_content(array, file)
            chunk = array.chunks[0] if array.chunks else None
            found.append(
                {"name": name, "shape": array.shape, "dtype": array.dtype.str, "chunk": chunk}
            )
        yield found


@hdf5_limits.served
def has_labels(file: str) -> Iterator[Any]:
    """Yield whether a file has a dataset "labels"."""
    with h5py.File(file, "r", locking=False) as opened:
        yield checks.has_dataset(opened, "labels")


@hdf5_limits.served
def attributes(file: str, name: str) -> Iterator[Any]:
    """Yield the attributes of a dataset that are numbers or texts, but for very large ones.

    They come as arrays, texts with U+FFFD for bytes that are none; the value has their names.
    """
    names = []
    with h5py.File(file, "r", locking=False) as opened:
        found = checks.dataset(opened, file, name).attrs
        for key in found:
            header = found.get_id(key)
            if header.shape is None or checks.attribute_bytes(found, key) > _MOST_ATTRIBUTE:
                continue
            if header.dtype.kind in "biufS":
                yield np.asarray(found[key])
            elif h5py.check_string_dtype(header.dtype):
                content = np.char.encode(np.asarray(found[key], str), "utf-8", "surrogateescape")
                yield np.char.decode(content, "utf-8", "replace")
            else:
                continue
            names.append(key)
        yield names
