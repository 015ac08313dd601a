"""What data files hold, for the process that reads them (``hdf5_process``).

Each function yields arrays and then a value that JSON can hold. What a file claims is compared
with what its bytes can hold before anything of that size is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hpcgan import hdf5_limits
from hpcgan.data import checks, kinds
from hpcgan.errors import DataError

GZIP = [h5py.h5z.FILTER_DEFLATE]
SHUFFLED_GZIP = [h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE]


@hdf5_limits.served
def header(file: str, images: str, labels: str | None) -> Iterator[Any]:
    """Yield one file's number of samples, samples of HDF5's chunks if any, shape and dtype.

    ``values`` is how its samples were mapped (``hpcgan.data.values``), ``of_label`` the shape of a
    label, ``classes`` the names of classes (``kinds.class_names``), and ``others`` are the files
    that its samples are in, if it is a view of them.
    """
    try:
        opened = h5py.File(file, "r", locking=False)
    except OSError as error:
        raise DataError(f"{file}: not readable as HDF5: {error}") from None
    with opened:
        array = checks.dataset(opened, file, images)
        checked = [array]
        wrong = kinds.wrong_samples(array, images)
        if labels is not None and not wrong:
            checked.append(checks.dataset(opened, file, labels))
            wrong = kinds.wrong_labels(checked[1], labels, array.shape[0])
        if wrong:
            raise DataError(f"{file}: dataset {wrong}")
        for each in checked:
            checks.check_claim(each, file)
            checks.check_filters(each, file)
        yield {
            "length": array.shape[0],
            "chunk": array.chunks[0] if array.chunks else None,
            "shape": list(array.shape[1:]),
            "dtype": array.dtype.name,
            "values": kinds.mapping(array, file),
            "of_label": list(checked[-1].shape[1:]) if labels is not None else [],
            "classes": kinds.class_names(checked[-1]) if labels is not None else [],
            "others": sorted({each for *_, each in _view(array, file)} - {str(Path(file))}),
        }


@hdf5_limits.served
def labels(file: str, name: str) -> Iterator[Any]:
    """Yield all labels of a file."""
    with h5py.File(file, "r", locking=False) as opened:
        array = checks.dataset(opened, file, name)
        checks.check_content(array, file)
        hdf5_limits.allow(checks.array_bytes(array))
        yield array[:]


@hdf5_limits.served
def labels_header(file: str, name: str) -> Iterator[Any]:
    """Yield the ``shape`` of a file's labels, and the ``kind`` and name of their ``dtype``."""
    try:
        opened = h5py.File(file, "r", locking=False)
    except OSError as error:
        raise DataError(f"{file}: not readable as HDF5: {error}") from None
    with opened:
        array = checks.dataset(opened, file, name)
        if not array.shape:
            raise DataError(f"{file}: '{name}' has shape {array.shape}; it must have one a sample")
        checks.check_content(array, file)
        yield {"shape": array.shape, "kind": array.dtype.kind, "dtype": array.dtype.name}


@hdf5_limits.served
def places(file: str, images: str) -> Iterator[Any]:
    """Yield where a file's samples are.

    The value has the array's ``shape`` and ``dtype``. With ``rows`` (samples per chunk) and
    ``filters``, the arrays are where each chunk begins and how many bytes it has; without, HDF5
    has to read the samples. ``view`` lists the first and last row + 1 that each file of
    a virtual dataset fills, and that file.
    """
    with h5py.File(file, "r", locking=False) as opened:
        array = checks.dataset(opened, file, images)
        checks.check_claim(array, file)
        checks.check_filters(array, file)
        value = {"shape": array.shape, "dtype": array.dtype.name, "view": _view(array, file)}
        found = _places(opened, array, file)
        if found is not None:
            yield found[0]
            yield found[1]
            value |= {"rows": found[2], "filters": found[3]}
        yield value


@hdf5_limits.served
def rows(file: str, images: str, start: int, stop: int) -> Iterator[Any]:
    """Yield rows of a file as HDF5 gives them."""
    with h5py.File(file, "r", locking=False) as opened:
        array = opened[images]
        checks.check_filters(array, file)  # plugins, too, are gone with an earlier process
        chunk = checks.shape_bytes(array.chunks or (1,), array)
        hdf5_limits.allow(checks.shape_bytes((stop - start, *array.shape[1:]), array) + chunk)
        yield array[start:stop]


def _places(
    opened: h5py.File, array: h5py.Dataset, file: str
) -> tuple[np.ndarray, np.ndarray, int, list[int]] | None:
    """Return chunks' places, sizes, samples and filters, or None if HDF5 has to read them."""
    if not checks.array_bytes(array):
        return None
    if array.chunks is None:
        offset = array.id.get_offset()  # None for one that is virtual or inside its header
        if offset is None or opened.userblock_size or not array.dtype.isnative:
            return None
        return np.array([offset]), np.array([checks.array_bytes(array)]), array.shape[0], []
    offsets, sizes, as_written = checks.chunk_places(array, file)
    plan = array.id.get_create_plist()
    filters = [plan.get_filter(number)[0] for number in range(plan.get_nfilters())]
    if opened.userblock_size or not array.dtype.isnative or array.chunks[1:] != array.shape[1:]:
        return None
    if filters not in ([], GZIP, SHUFFLED_GZIP):
        return None
    # Chunks that were never written have no place; HDF5 fills them in.
    if not as_written or offsets.min() < 0:
        return None
    return offsets, sizes, int(array.chunks[0]), filters


def _view(array: h5py.Dataset, path: str) -> list[tuple[int, int, str]]:
    """Return the first and last row + 1 that each file of a virtual dataset fills, and the file."""
    view = []
    for part in array.virtual_sources() if array.is_virtual else ():
        first, last = part.vspace.get_select_bounds()
        file = Path(path) if part.file_name == "." else checks.virtual_path(path, part.file_name)
        view.append((int(first[0]), int(last[0]) + 1, str(file)))
    return view
