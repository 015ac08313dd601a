"""What is refused of a data file's datasets before anything of their size is made.

For the process that reads HDF5 files (``hdf5_process``). A file of others may claim more than its
bytes can hold, or make HDF5 open other files. What kind of samples and labels a dataset may hold is
in ``kinds``.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hpcgan import hdf5_limits, packages
from hpcgan.errors import DataError
from hpcgan.files import check_is_file

_MOST_CHUNK = 2**32  # bytes; HDF5 before 2.0 makes none that is larger
# A chunk that its filters make larger is stored without them, or with a few bytes more.
_SPARE_BYTES = 4096
_MOST_LISTED = 20  # datasets that an error names
_MOST_VISITED = 10_000  # groups and datasets among which they are looked for


def dataset(opened: Any, file: str, name: str, may_be_raw: bool = False) -> Any:
    """Return a dataset of an open file; of this file, not of one that a link inside it names.

    ``file`` is its path; with ``may_be_raw`` its content may be in files that are not HDF5.

    Raises:
        DataError: there is none.
    """
    parts = name.strip("/").split("/")
    paths = ["/".join(parts[: number + 1]) for number in range(len(parts))]
    # Whether one of them leads out of the file; where one is missing, those behind it are.
    is_elsewhere = any(isinstance(_link(opened, path), h5py.ExternalLink) for path in paths)
    found = None if is_elsewhere else opened.get(name)
    # A soft link may lead to a link to another file.
    if is_elsewhere or (found is not None and not _is_in(found, opened)):
        raise DataError(f"{file}: '{name}' is a link to another file; name that file instead")
    if not isinstance(found, h5py.Dataset):
        raise DataError(f"{file}: there is no dataset '{name}'; its datasets are: {listed(opened)}")
    if found.shape is not None and found.external and not may_be_raw:
        raise DataError(
            f"{file}: '{name}' keeps its content in files that are not HDF5; convert it"
        )
    return found


def datasets(opened: h5py.File, most: int) -> list[str]:
    """Return the paths of an open file's first datasets, those in groups too.

    Links, which may lead to other files, are not followed.
    """
    found: list[str] = []
    seen = 0

    def note(path: str, each: Any) -> bool | None:
        nonlocal seen
        seen += 1
        if isinstance(each, h5py.Dataset):
            found.append(path)
        return True if len(found) == most or seen == _MOST_VISITED else None  # ends the visit

    opened.visititems(note)
    return found


def listed(opened: h5py.File) -> str:
    """Return the paths of an open file's datasets, or of the first ones, as text."""
    found = datasets(opened, _MOST_LISTED + 1)
    if len(found) > _MOST_LISTED:
        found[_MOST_LISTED] = "..."
    return ", ".join(found) or "none"


def has_dataset(opened: h5py.File, name: str) -> bool:
    """Return whether an open file has a dataset of this name, without opening other files."""
    link = _link(opened, name)
    if link is None or isinstance(link, h5py.ExternalLink):
        return False
    return isinstance(opened.get(name), h5py.Dataset)


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


def _check_raw(array: Any, file: str) -> int:
    """Refuse content in other files that is not there: HDF5 would read zeros.

    Returns:
        The bytes of those files.
    """
    sizes = []
    for name, offset, size in array.external:
        path = Path(name)  # HDF5, too, looks from where the process is
        try:
            check_is_file(path, "file", DataError)  # a pipe would never answer
        except DataError as error:
            raise DataError(f"{file}: '{array.name}' is in another file: {error}") from None
        sizes.append(min(size, max(0, path.stat().st_size - offset)))
    if sum(sizes) < array_bytes(array):
        raise DataError(
            f"{file}: '{array.name}' needs {array_bytes(array)} bytes of other files, which have "
            f"{sum(sizes)}"
        )
    return sum(sizes)


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
    """Refuse a compression that this HDF5 cannot undo; plugins are found when installed.

    Raises:
        DataError: it cannot.
    """
    plan = array.id.get_create_plist()
    for number in range(plan.get_nfilters()):
        code, _, _, name = plan.get_filter(number)
        if not h5py.h5z.filter_avail(code):
            # Blosc, Zstandard, LZ4, ... come with this package.
            wrong = packages.problem("hdf5plugin")
            if wrong or not h5py.h5z.filter_avail(code):
                raise DataError(
                    f"{file}: '{array.name}' is compressed with filter {code} "
                    f"({name.decode(errors='replace') or 'no name'}), which is not there"
                    f"{f' (hdf5plugin {wrong})' if wrong else ''}; "
                    "pip install hdf5plugin, or write the file again with gzip"
                )


def shape_bytes(shape: tuple[int, ...], array: Any) -> int:
    """Return the bytes of an array's values in some shape; NumPy's product may overflow."""
    return math.prod(shape) * int(array.dtype.itemsize)


def array_bytes(array: Any) -> int:
    """Return the bytes of all values of a dataset."""
    return shape_bytes(array.shape, array)


def check_claim(array: Any, file: str) -> None:
    """Refuse a dataset that claims more than its file can hold, before anyone makes room.

    Raises:
        DataError: it does.
    """
    claimed, room = array_bytes(array), array.file.id.get_filesize()
    if array.is_virtual:
        room += _check_virtual(array, file)
    if array.external:
        room += _check_raw(array, file)
    fits = hdf5_limits.can_hold(claimed, room)
    if array.chunks:
        chunk = shape_bytes(array.chunks, array)
        fits = fits and chunk <= _MOST_CHUNK and hdf5_limits.can_hold(chunk, room)
        # Each chunk has a byte at least, and a place in the index.
        fits = fits and number_of_chunks(array) <= room
    elif not array.is_virtual and claimed:
        end = (array.id.get_offset() or 0) + array.id.get_storage_size()
        fits = claimed == array.id.get_storage_size() and end <= room
    if not fits:
        raise DataError(
            f"{file}: '{array.name}' claims {claimed} bytes (shape {array.shape}, chunks "
            f"{array.chunks}), which a file of {room} bytes cannot hold: it is damaged"
        )


def check_content(array: Any, file: str) -> None:
    """Refuse what HDF5 cannot read of a dataset, or would make up.

    Raises:
        DataError: there is such a thing.
    """
    check_claim(array, file)
    check_filters(array, file)
    if array.chunks and array_bytes(array):
        chunk_places(array, file)


def chunk_places(array: h5py.Dataset, file: str) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return where the chunks are, their bytes, and whether all filters were used for all.

    Raises:
        DataError: one is not in the file, or in no place of the dataset: HDF5 would read zeros
            where it belongs.
    """
    room, most = int(array.file.id.get_filesize()), shape_bytes(array.chunks, array)
    number = -(-array.shape[0] // array.chunks[0])
    hdf5_limits.allow(100 * number_of_chunks(array))
    offsets, sizes = np.full(number, -1, np.int64), np.zeros(number, np.int64)
    is_filtered = bool(array.id.get_create_plist().get_nfilters())
    as_written = True
    wrong = 0

    def note(chunk: h5py.h5d.StoreInfo) -> None:
        nonlocal as_written, wrong
        begin, size = chunk.byte_offset, chunk.size
        fits = size <= 2 * most + _SPARE_BYTES if is_filtered else size == most
        # A chunk of another place is lost to HDF5, which reads zeros instead.
        grid = zip(chunk.chunk_offset, array.chunks, array.shape, strict=True)
        has_place = all(first % step == 0 and first < length for first, step, length in grid)
        wrong += not (fits and has_place) or begin + size > room
        index = chunk.chunk_offset[0] // array.chunks[0]
        if not wrong and index < number:
            offsets[index], sizes[index] = begin, size
        as_written = as_written and chunk.filter_mask == 0

    array.id.chunk_iter(note)
    if wrong:
        raise DataError(f"{file}: {wrong} chunks of '{array.name}' are not in it: it is damaged")
    return offsets, sizes, as_written


def number_of_chunks(array: Any) -> int:
    """Return how many chunks a dataset has if all are there."""
    return math.prod(-(-n // c) for n, c in zip(array.shape, array.chunks, strict=True))


def attribute_bytes(attributes: Any, name: str) -> int:
    """Return the bytes of an attribute, which may be any number, before it is read."""
    header = attributes.get_id(name)
    if header.shape is None:  # it has no value
        return 0
    return math.prod(header.shape) * int(header.get_type().get_size())
