"""What ``convert`` and ``reshard`` take from the HDF5 files that they copy.

For the process that reads HDF5 (``hpcgan.hdf5_process``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from hpcgan import hdf5_limits
from hpcgan.data import checks
from hpcgan.errors import DataError

_MOST_DATASETS = 1000  # that are looked at
_MOST_TEXT = 1000  # bytes of a label
_MOST_ATTRIBUTE = 60_000  # bytes; HDF5 has room for 64 KiB, with their header


@hdf5_limits.served
def contents(file: str) -> Iterator[Any]:
    """Yield what a file is: the paths of its ``datasets``, and whether it is by MATLAB or netCDF.

    Those of MATLAB's own references are left out.
    """
    with h5py.File(file, "r", locking=False) as opened:
        yield {
            "datasets": [
                each for each in checks.datasets(opened, _MOST_DATASETS) if each[0] != "#"
            ],
            "is_netcdf": "_NCProperties" in opened.attrs,
        }


@hdf5_limits.served
def arrays(file: str, *names: str) -> Iterator[Any]:
    """Yield path, shape, dtype and samples of a chunk of some datasets, unlike for a run of any.

    Texts have dtype "text"; ``texts`` reads them.

    Raises:
        DataError: a dataset is not there, or cannot be read.
    """
    with h5py.File(file, "r", locking=False) as opened:
        found = []
        for name in names:
            array = checks.dataset(opened, file, name, may_be_raw=True)
            dtype = array.dtype
            is_text = h5py.check_string_dtype(dtype) is not None
            if not array.shape:
                raise DataError(f"{file}: dataset '{name}' has shape {array.shape}; it is no array")
            if dtype.kind not in "biufc" and not is_text:
                raise DataError(
                    f"{file}: dataset '{name}' has dtype {dtype}; it must be numbers, truth values "
                    "or texts"
                )
            if not is_text:
                checks.check_content(array, file)
            chunk = array.chunks[0] if array.chunks else None
            kind = "text" if is_text else dtype.str
            found.append({"name": name, "shape": array.shape, "dtype": kind, "chunk": chunk})
        yield found


@hdf5_limits.served
def texts(file: str, name: str) -> Iterator[Any]:
    """Yield all texts of a dataset, as bytes of one length.

    Raises:
        DataError: there are more than the file can hold, or one is long.
    """
    with h5py.File(file, "r", locking=False) as opened:
        array = checks.dataset(opened, file, name)
        size = int(array.id.get_type().get_size())
        needed, room = math.prod(array.shape) * size, int(opened.id.get_filesize())
        if size > _MOST_TEXT or not hdf5_limits.can_hold(needed, room):
            raise DataError(f"{file}: '{name}' claims {needed} bytes of texts: it is damaged")
        checks.check_filters(array, file)
        hdf5_limits.allow(needed + room)
        found = [each if isinstance(each, bytes) else bytes(each) for each in array[:].ravel()]
        longest = max(map(len, found), default=0)
        if longest > _MOST_TEXT:
            raise DataError(f"{file}: '{name}' has a text of {longest} bytes; no label is so long")
        hdf5_limits.allow(needed + room + longest * len(found))
        yield np.array(found, f"S{max(1, longest)}").reshape(array.shape)


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
        found = checks.dataset(opened, file, name, may_be_raw=True).attrs
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
