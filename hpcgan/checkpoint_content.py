"""What is in a checkpoint's HDF5 content, for the process that reads HDF5 (``hdf5_process``).

The checksum shows that a checkpoint is as it was written, not that hpcgan wrote it. So only what
``checkpoint.write`` makes is accepted: numbers in the file itself, uncompressed, under one name
each, and no more of them than the file has bytes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from hpcgan import hdf5_limits, varied
from hpcgan.data.sample_info import SampleInfo
from hpcgan.errors import CheckpointError

MOST_TEXT = 4 * 2**20  # bytes of the configuration
_MOST_DIMENSIONS = 5  # of a sample and the samples
_DEPTH = 64  # of groups in groups
_FINGERPRINT = re.compile("[0-9a-f]{16}")  # of a data file


@hdf5_limits.served
def content(path: str) -> Iterator[Any]:
    """Yield the arrays, then the other fields and the arrays' (group, name) in the same order."""
    with h5py.File(path, "r", locking=False) as file:
        fields = _fields(file, path)
        found = list(_datasets(file, path))
        room = file.id.get_filesize()
        if sum(_bytes(array) for *_, array in found) > room:
            raise CheckpointError(f"{path}: damaged: its variables need more than its {room} bytes")
        groups = [name for name in file if isinstance(file[name], h5py.Group)]
        for _, _, array in found:
            hdf5_limits.allow(_bytes(array))
            yield np.asarray(array[()])
        names = [[group, name] for group, name, _ in found]
        yield {"fields": fields, "groups": groups, "names": names}


@hdf5_limits.served
def versions(path: str) -> Iterator[Any]:
    """Yield the versions of what wrote a checkpoint, by the names of the packages."""
    with h5py.File(path, "r", locking=False) as file:
        names = [name for name in sorted(file.attrs) if name.endswith("_version")]
        yield {name.removesuffix("_version"): _text(file, name, path) for name in names}


def _bytes(array: h5py.Dataset) -> int:
    return math.prod(array.shape) * int(array.dtype.itemsize)


def _fields(file: h5py.File, path: str) -> dict[str, Any]:
    """Return the attributes that a run needs, named as in ``Checkpoint``."""
    dtype = _text(file, "sample_dtype", path)
    if dtype not in ("uint8", "float32"):
        raise _wrong("sample_dtype", path)
    return {
        "step": _whole(file, "step", path),
        "images": _whole(file, "images", path),
        "config": _text(file, "config", path),
        "dtype": dtype,
        "sample_shape": _whole_numbers(file, "sample_shape", path),
        "data": _text(file, "data", path),
        "rollbacks": _whole(file, "rollbacks", path),
        "discarded": _whole(file, "discarded", path),
        "fingerprints": _fingerprints(file, path),
        "samples": _samples(file, path),
        "ranks": _later(file, "ranks", path),
        "values": _values(file, path),
        "round": _later(file, "round", path),
    }


def _attribute(file: h5py.File, name: str, dimensions: int, path: str) -> Any:
    """Return an attribute, after its header has been checked."""
    if not h5py.h5a.exists(file.id, name.encode()):
        raise CheckpointError(f"{path}: damaged or no checkpoint: it has no attribute '{name}'")
    found = h5py.h5a.open(file.id, name.encode())
    fits = len(found.shape) == dimensions and math.prod(found.shape) <= _MOST_DIMENSIONS
    if not fits or found.get_storage_size() > MOST_TEXT:
        raise _wrong(name, path)
    return file.attrs[name]


def _text(file: h5py.File, name: str, path: str) -> str:
    value = _attribute(file, name, 0, path)
    if not isinstance(value, str) or len(value) > MOST_TEXT:
        raise _wrong(name, path)
    value.encode()  # h5py gives what is not UTF-8 as halves of characters: an error here
    return value


def _fingerprints(file: h5py.File, path: str) -> list[str]:
    """Return those of the data files; older checkpoints hold none."""
    name = "data_files"
    if not h5py.h5a.exists(file.id, name.encode()):
        return []
    found = _text(file, name, path).split()
    if any(not _FINGERPRINT.fullmatch(each) for each in found):
        raise _wrong(name, path)
    return found


def _samples(file: h5py.File, path: str) -> str:
    """Return the text of what is known of the samples; older checkpoints hold none."""
    name = "samples"
    if not h5py.h5a.exists(file.id, name.encode()):
        return SampleInfo().as_text()
    found = _text(file, name, path)
    try:
        SampleInfo.parse(found)
    except ValueError:
        raise _wrong(name, path) from None
    return found


def _later(file: h5py.File, name: str, path: str) -> int:
    """Return a number that older checkpoints do not hold, or 0."""
    return _whole(file, name, path) if h5py.h5a.exists(file.id, name.encode()) else 0


def _values(file: h5py.File, path: str) -> dict[str, float]:
    """Return the values of keys that have changed; older checkpoints hold none."""
    if not h5py.h5a.exists(file.id, b"values"):
        return {}
    try:
        return varied.parse(_text(file, "values", path))
    except ValueError:
        raise _wrong("values", path) from None


def _whole(file: h5py.File, name: str, path: str) -> int:
    value = _attribute(file, name, 0, path)
    if not isinstance(value, np.integer) or value < 0:
        raise _wrong(name, path)
    return int(value)


def _whole_numbers(file: h5py.File, name: str, path: str) -> list[int]:
    value = _attribute(file, name, 1, path)
    if value.dtype.kind not in "iu" or len(value) not in (3, 4) or value.min() < 1:
        raise _wrong(name, path)
    return [int(each) for each in value]


def _wrong(name: str, path: str) -> CheckpointError:
    return CheckpointError(f"{path}: damaged or no checkpoint: its attribute '{name}' is wrong")


def _datasets(file: h5py.File, path: str) -> Iterator[tuple[str, str, h5py.Dataset]]:
    """Yield each dataset with its group's name and its own below that."""
    seen = {h5py.h5o.get_info(file.id).addr}
    rest: list[tuple[tuple[str, ...], h5py.Group]] = [
        ((name,), file) for name in sorted(file, reverse=True)
    ]
    while rest:
        names, parent = rest.pop()
        item = _item(parent, names, seen, path)
        if isinstance(item, h5py.Group):
            rest += [((*names, name), item) for name in sorted(item, reverse=True)]
        elif len(names) > 1:
            _check_plain(item, "/".join(names), path)
            yield names[0], "/".join(names[1:]), item


def _item(parent: h5py.Group, names: tuple[str, ...], seen: set[int], path: str) -> Any:
    """Return the object of a name; it must be in this file, once."""
    name = "/".join(names)
    name.encode()  # as in _text
    if not isinstance(parent.get(names[-1], getlink=True), h5py.HardLink):
        raise CheckpointError(f"{path}: damaged or no checkpoint: '{name}' is a link")
    item = parent[names[-1]]
    address = h5py.h5o.get_info(item.id).addr
    if address in seen or len(names) > _DEPTH or not isinstance(item, h5py.Group | h5py.Dataset):
        raise CheckpointError(f"{path}: damaged or no checkpoint: '{name}' is no variable")
    seen.add(address)
    return item


def _check_plain(array: h5py.Dataset, name: str, path: str) -> None:
    """Refuse what is not contiguous numbers that fit into the file."""
    plan = array.id.get_create_plist()
    is_plain = (
        array.shape is not None
        and array.dtype.kind in "iufb"
        and plan.get_layout() == h5py.h5d.CONTIGUOUS
        and not plan.get_external_count()
    )
    if not is_plain:
        raise CheckpointError(f"{path}: damaged or no checkpoint: '{name}' is no plain array")
    room, there = array.file.id.get_filesize(), array.id.get_storage_size()
    if _bytes(array) != there or (there and (array.id.get_offset() or room) + there > room):
        raise CheckpointError(
            f"{path}: damaged: '{name}' does not hold the {_bytes(array)} bytes of its shape"
        )
