"""What HDF5 knows of data files, for the process that reads them (``hdf5_process``).

Each function yields arrays and then a value that JSON can hold. What a file claims is compared
with what its bytes can hold before anything of that size is made.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hpcgan import limits
from hpcgan.errors import DataError
from hpcgan.files import check_is_file

GZIP = [h5py.h5z.FILTER_DEFLATE]
SHUFFLED_GZIP = [h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE]

_DTYPES = ("uint8", "float32")
_MOST_CHUNK = 2**32  # bytes; HDF5 before 2.0 makes none that is larger
# A chunk that its filters make larger is stored without them, or with a few bytes more.
_SPARE_BYTES = 4096


def header(file: str, images: str, labels: str | None) -> Iterator[Any]:
    """Yield one file's number of samples, samples of HDF5's chunks if any, shape and dtype."""
    try:
        opened = h5py.File(file, "r", locking=False)
    except OSError as error:
        raise DataError(f"{file}: not readable as HDF5: {error}") from None
    with opened:
        array = _dataset(opened, file, images)
        shape = array.shape
        if shape is None or len(shape) not in (4, 5) or 0 in shape[1:]:
            raise DataError(
                f"{file}: dataset '{images}' has shape {shape}; it must be (N, H, W, C) "
                "or (N, D, H, W, C)"
            )
        if array.dtype.name not in _DTYPES:
            raise DataError(
                f"{file}: dataset '{images}' has dtype {array.dtype.name}; it must be uint8 "
                "or float32"
            )
        _check_claim(array, file)
        check_filters(array, file)
        if labels is not None:
            _check_labels(_dataset(opened, file, labels), shape[0], file, labels)
        yield {
            "length": shape[0],
            "chunk": array.chunks[0] if array.chunks else None,
            "shape": list(shape[1:]),
            "dtype": array.dtype.name,
        }


def labels(file: str, name: str) -> Iterator[Any]:
    """Yield all labels of a file."""
    with h5py.File(file, "r", locking=False) as opened:
        array = _dataset(opened, file, name)
        _check_claim(array, file)
        limits.allow(_bytes(array))
        yield array[:]


def places(file: str, images: str) -> Iterator[Any]:
    """Yield where a file's samples are.

    The value has the array's ``shape`` and ``dtype``. With ``rows`` (samples a chunk) and
    ``filters``, the arrays are where each chunk begins and how many bytes it has; without, HDF5
    has to be asked for the samples. ``view`` lists the first and last row + 1 that each file of
    a virtual dataset fills, and that file.
    """
    with h5py.File(file, "r", locking=False) as opened:
        array = _dataset(opened, file, images)
        _check_claim(array, file)
        check_filters(array, file)
        value = {"shape": array.shape, "dtype": array.dtype.name, "view": _view(array, file)}
        found = _places(opened, array, file)
        if found is not None:
            yield found[0]
            yield found[1]
            value |= {"rows": found[2], "filters": found[3]}
        yield value


def rows(file: str, images: str, start: int, stop: int) -> Iterator[Any]:
    """Yield rows of a file as HDF5 gives them."""
    with h5py.File(file, "r", locking=False) as opened:
        array = opened[images]
        chunk = _bytes_of(array.chunks or (1,), array)
        limits.allow(_bytes_of((stop - start, *array.shape[1:]), array) + chunk)
        yield array[start:stop]


def _bytes_of(shape: tuple[int, ...], array: Any) -> int:
    """Return the bytes of so many values; NumPy's product may overflow."""
    return math.prod(shape) * int(array.dtype.itemsize)


def _bytes(array: Any) -> int:
    return _bytes_of(array.shape, array)


def _check_claim(array: Any, file: str) -> None:
    """Refuse a dataset that says to hold more than its file can, before anyone makes room."""
    claimed, room = _bytes(array), array.file.id.get_filesize()
    if array.is_virtual:
        room += _check_virtual(array, file)
    fits = limits.can_hold(claimed, room)
    if array.chunks:
        chunk = _bytes_of(array.chunks, array)
        fits = fits and chunk <= _MOST_CHUNK and limits.can_hold(chunk, room)
        # Each chunk has a byte at least, and a place in the index.
        fits = fits and _number_of_chunks(array) <= room
    elif not array.is_virtual and claimed:
        end = (array.id.get_offset() or 0) + array.id.get_storage_size()
        fits = claimed == array.id.get_storage_size() and end <= room
    if not fits:
        raise DataError(
            f"{file}: '{array.name}' says to hold {claimed} bytes (shape {array.shape}, chunks "
            f"{array.chunks}), which a file of {room} bytes cannot: it is damaged"
        )


def _number_of_chunks(array: Any) -> int:
    return math.prod(-(-n // c) for n, c in zip(array.shape, array.chunks, strict=True))


def _places(
    opened: h5py.File, array: h5py.Dataset, file: str
) -> tuple[np.ndarray, np.ndarray, int, list[int]] | None:
    """Return chunks' places, sizes, samples and filters, or None if HDF5 has to be asked."""
    if not _bytes(array):
        return None
    if array.chunks is None:
        offset = array.id.get_offset()  # None for one that is virtual or inside its header
        if offset is None or opened.userblock_size or not array.dtype.isnative:
            return None
        return np.array([offset]), np.array([_bytes(array)]), array.shape[0], []
    offsets, sizes, as_written = _chunks(array, file)
    plan = array.id.get_create_plist()
    filters = [plan.get_filter(number)[0] for number in range(plan.get_nfilters())]
    if opened.userblock_size or not array.dtype.isnative or array.chunks[1:] != array.shape[1:]:
        return None
    if filters not in ([], GZIP, SHUFFLED_GZIP):
        return None
    # Chunks that were never written have no place; HDF5 knows what to put there.
    if not as_written or offsets.min() < 0:
        return None
    return offsets, sizes, int(array.chunks[0]), filters


def _chunks(array: h5py.Dataset, file: str) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return where the chunks are, their bytes, and whether all filters were used for all."""
    room, most = _file_bytes(array), _bytes_of(array.chunks, array)
    number = -(-array.shape[0] // array.chunks[0])
    limits.allow(100 * _number_of_chunks(array))
    offsets, sizes = np.full(number, -1, np.int64), np.zeros(number, np.int64)
    is_filtered = bool(array.id.get_create_plist().get_nfilters())
    as_written = True
    wrong = 0

    def note(chunk: h5py.h5d.StoreInfo) -> None:
        nonlocal as_written, wrong
        begin, size = chunk.byte_offset, chunk.size
        fits = size <= 2 * most + _SPARE_BYTES if is_filtered else size == most
        wrong += not fits or begin + size > room
        index = chunk.chunk_offset[0] // array.chunks[0]
        if not wrong and index < number:
            offsets[index], sizes[index] = begin, size
        as_written = as_written and chunk.filter_mask == 0

    array.id.chunk_iter(note)
    if wrong:
        raise DataError(f"{file}: {wrong} chunks of '{array.name}' are not in it: it is damaged")
    return offsets, sizes, as_written


def _file_bytes(array: h5py.Dataset) -> int:
    """Return the bytes of the file that a dataset is in."""
    return int(array.file.id.get_filesize())


def _dataset(opened: Any, file: str, name: str) -> Any:
    """Return a dataset of an open file; of this file, not of one that a link inside it names."""
    parts = name.strip("/").split("/")
    paths = ["/".join(parts[: number + 1]) for number in range(len(parts))]
    # Whether one of them leads out of the file; where one is missing, those behind it are.
    is_elsewhere = any(isinstance(_link(opened, path), h5py.ExternalLink) for path in paths)
    found = None if is_elsewhere else opened.get(name)
    # A soft link may lead to a link to another file.
    if is_elsewhere or (found is not None and not _is_in(found, opened)):
        raise DataError(f"{file}: '{name}' is a link to another file; name that file instead")
    if not isinstance(found, h5py.Dataset):
        there = ", ".join(k for k, v in opened.items() if isinstance(v, h5py.Dataset)) or "none"
        raise DataError(f"{file}: there is no dataset '{name}'; its datasets are: {there}")
    if found.shape is not None and found.external:
        raise DataError(
            f"{file}: '{name}' keeps its content in files that are not HDF5; convert it"
        )
    return found


def _link(opened: h5py.File, path: str) -> Any:
    """Return the link that a path ends with, or None if there is none."""
    try:
        return opened.get(path, getlink=True)
    except KeyError:
        return None


def _is_in(found: Any, opened: h5py.File) -> bool:
    """Return whether an object is in an open file itself."""
    numbers = {h5py.h5o.get_info(each.id).fileno for each in (found, opened)}
    return len(numbers) == 1


def _check_virtual(array: Any, file: str) -> int:
    """Refuse a virtual dataset with a part that no file fills: HDF5 would read zeros there.

    Returns:
        The bytes of the files that it is a view of.
    """
    filled = 0
    sizes: dict[Path, int] = {}
    for part in array.virtual_sources():
        filled += part.vspace.get_select_npoints()
        if part.file_name == ".":
            continue
        path = virtual_path(file, part.file_name)
        try:
            check_is_file(path, "file", DataError)  # a pipe would never answer
            sizes[path] = path.stat().st_size
            with h5py.File(path, "r", locking=False) as opened:
                found = opened.get(part.dset_name)
                fits = isinstance(found, h5py.Dataset) and _covers(found, part)
        except (OSError, DataError) as error:
            raise DataError(f"{file}: a view of {path}, which is not readable: {error}") from None
        if not fits:
            raise DataError(f"{file}: a view of more of '{part.dset_name}' than {path} holds")
    values = math.prod(array.shape)
    if filled != values:
        raise DataError(
            f"{file}: '{array.name}' is a view of other files that fill {filled} of its "
            f"{values} values"
        )
    return sum(sizes.values())


def _covers(found: Any, part: Any) -> bool:
    """Return whether a dataset has all that a part of a virtual one takes from it."""
    if part.src_space.get_select_type() == h5py.h5s.SEL_ALL:
        return bool(found.size == part.vspace.get_select_npoints())
    _, last = part.src_space.get_select_bounds()
    return len(last) == found.ndim and all(i < n for i, n in zip(last, found.shape, strict=True))


def virtual_path(file: str, name: str) -> Path:
    """Return where HDF5 looks for a file that a virtual dataset of ``file`` names."""
    beside = Path(file).parent / name
    return beside if os.path.exists(beside) else Path(name)  # noqa: PTH110


def check_filters(array: Any, file: str) -> None:
    """Refuse a compression that this HDF5 cannot undo; plugins are found when installed."""
    plan = array.id.get_create_plist()
    for number in range(plan.get_nfilters()):
        code, _, _, name = plan.get_filter(number)
        if not h5py.h5z.filter_avail(code):
            with_plugins = _import_plugins()
            if not (with_plugins and h5py.h5z.filter_avail(code)):
                raise DataError(
                    f"{file}: '{array.name}' is compressed with filter {code} "
                    f"({name.decode(errors='replace') or 'no name'}), which is not installed; "
                    "pip install hdf5plugin, or write the file again with gzip"
                )


def _import_plugins() -> bool:
    """Make the filters of hdf5plugin (Blosc, Zstandard, LZ4, ...) known if it is installed."""
    try:
        import hdf5plugin  # noqa: F401
    except ImportError:
        return False
    return True


def _check_labels(array: Any, samples: int, file: str, name: str) -> None:
    """Refuse labels of another length, shape or kind."""
    if array.shape != (samples,):
        raise DataError(
            f"{file}: dataset '{name}' has shape {array.shape}; for {samples} samples it must "
            f"be ({samples},)"
        )
    if array.dtype.kind not in "iu" and array.dtype.name != "float32":
        raise DataError(
            f"{file}: dataset '{name}' has dtype {array.dtype.name}; labels are integers or float32"
        )
    _check_claim(array, file)
    check_filters(array, file)


def _view(array: h5py.Dataset, path: str) -> list[tuple[int, int, str]]:
    """Return the first and last row + 1 that each file of a virtual dataset fills, and the file."""
    view = []
    if not array.is_virtual:
        return []
    for part in array.virtual_sources():
        first, last = part.vspace.get_select_bounds()
        file = Path(path) if part.file_name == "." else virtual_path(path, part.file_name)
        view.append((int(first[0]), int(last[0]) + 1, str(file)))
    return view
