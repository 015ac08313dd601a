"""What ``verify`` looks for in a file, for the process that reads HDF5 (``hpcgan.hdf5_process``).

Unlike a run, which ends with the first thing that is wrong, it goes on and lists all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import numpy as np

from data_tools import missing
from hpcgan import hdf5_limits
from hpcgan.data import checks, kinds
from hpcgan.errors import DataError
from hpcgan.files import default_chunk

_MOST_FILL = 64  # bytes of an attribute that is a fill value


@hdf5_limits.served
def samples(file: str, images: str) -> Iterator[Any]:
    """Yield what is wrong with a file's samples but for their values, and what is known of them.

    The value has ``problems``, a list of texts; ``has_labels``, whether there is a dataset
    "labels"; if they could be samples, their number ``samples``, ``shape`` and ``dtype``; and if
    they can be read, ``step``, how many to read at once.

    Raises:
        DataError: there is no such dataset.
    """
    with h5py.File(file, "r", locking=False) as opened:
        array = checks.dataset(opened, file, images)
        known: dict[str, Any] = {"has_labels": checks.has_dataset(opened, "labels")}
        problem = kinds.wrong_samples(array, images)
        if not problem:
            known |= {
                "samples": array.shape[0],
                "shape": list(array.shape[1:]),
                "dtype": array.dtype.name,
            }
            problem = _unreadable(array, images, file)
            if not problem:
                known["step"] = _step(array)
                problem = _problem(checks.check_content, array, file)  # the rest can be read
        yield known | {"problems": [problem] if problem else []}


@hdf5_limits.served
def values(file: str, images: str, start: int, stop: int) -> Iterator[Any]:
    """Yield what the values of some samples are, which are read a chunk at a time.

    The arrays are the numbers of the samples that can be read, int64, and a hash of each, uint64.
    The value has ``unreadable``, a list of a first and a last sample and the reason; and lists of
    samples: ``not_finite``, those with a ``fill`` value, and those that are ``constant``.
    """
    unreadable = []
    found: dict[str, list[int]] = {"not_finite": [], "fill": [], "constant": []}
    numbers, hashes = [], []
    with h5py.File(file, "r", locking=False) as opened:
        array = checks.dataset(opened, file, images)
        checks.check_filters(array, file)
        fills = missing.fill_values(_small_attributes(array.attrs))
        step = array.chunks[0] if array.chunks else stop - start
        for first in range(start, stop, step):
            last = min(first + step, stop) - 1
            hdf5_limits.allow(4 * step * checks.shape_bytes(array.shape[1:], array))
            try:
                part = array[first : last + 1]
            except (OSError, RuntimeError, ValueError) as error:
                unreadable.append([first, last, str(error)])
                continue
            rows = np.ascontiguousarray(part).reshape(len(part), -1)
            for name, wrong in _look(rows, fills).items():
                found[name] += (first + np.flatnonzero(wrong)).tolist()
            numbers.append(np.arange(first, last + 1))
            hashes.append(np.frombuffer(b"".join(map(_hash, rows)), np.uint64))
    yield np.concatenate([np.zeros(0, np.int64), *numbers])
    yield np.concatenate([np.zeros(0, np.uint64), *hashes])
    yield found | {"unreadable": unreadable}


def _look(rows: np.ndarray, fills: list[float]) -> dict[str, np.ndarray]:
    """Return which samples (rows) have what, by its name."""
    looked = {
        "constant": (rows == rows[:, :1]).all(axis=1),
        "fill": missing.is_fill(rows, fills).any(axis=1),
    }
    if rows.dtype.kind == "f":
        looked["not_finite"] = ~np.isfinite(rows).all(axis=1)
    return looked


def _hash(row: np.ndarray) -> bytes:
    return hashlib.blake2b(row.data, digest_size=8).digest()


def _small_attributes(attributes: Any) -> dict[str, Any]:
    """Return the attributes that name fill values."""
    return {
        name: attributes[name]
        for name in missing.FILL_ATTRIBUTES
        if name in attributes and checks.attribute_bytes(attributes, name) <= _MOST_FILL
    }


@hdf5_limits.served
def labels(file: str, name: str, count: int) -> Iterator[Any]:
    """Yield what is wrong with the labels of ``count`` samples, ``problems``, and their dtype.

    Raises:
        DataError: there is no such dataset.
    """
    with h5py.File(file, "r", locking=False) as opened:
        array = checks.dataset(opened, file, name)
        problem = kinds.wrong_labels(array, name, count)
        if not problem:
            problem = _problem(checks.check_content, array, file) or _wrong_values(array, name)
        yield {"labels": array.dtype.name, "problems": [problem] if problem else []}


def _unreadable(array: Any, name: str, file: str) -> str:
    """Return why no samples can be read, or why HDF5 would make them up; or ""."""
    if not array.shape[0]:
        return f"'{name}' holds no samples"
    if array.chunks:
        expected, written = checks.number_of_chunks(array), array.id.get_num_chunks()
        if written < expected:
            return f"'{name}': {expected - written} of {expected} chunks were never written"
    elif not array.is_virtual:
        there = array.id.get_storage_size()
        if not there or (array.id.get_offset() or 0) + there > array.file.id.get_filesize():
            return f"'{name}': the file has no room for its {checks.array_bytes(array)} bytes"
    return _problem(checks.check_claim, array, file) or _problem(checks.check_filters, array, file)


def _problem(check: Callable[[Any, str], None], array: Any, file: str) -> str:
    """Return what a check refuses, without the file's name, or ""."""
    try:
        check(array, file)
    except DataError as error:
        return str(error).removeprefix(f"{file}: ")
    return ""


def _step(array: Any) -> int:
    """Return how many samples to read at once: whole chunks of HDF5's."""
    most = default_chunk(checks.shape_bytes(array.shape[1:], array), array.shape[0])
    chunk = array.chunks[0] if array.chunks else 1
    return int(chunk * max(1, most // chunk))


def _wrong_values(array: Any, name: str) -> str:
    """Return which labels are not finite or negative, or ""."""
    hdf5_limits.allow(2 * checks.array_bytes(array))
    values = array[:]
    if array.dtype.kind == "f":
        wrong, said = np.flatnonzero(~np.isfinite(values)), "not finite"
    else:
        wrong, said = np.flatnonzero(values < 0), "negative"
    if not len(wrong):
        return ""
    value = "" if array.dtype.kind == "f" else f": {values[wrong[0]]}"
    return f"'{name}': {len(wrong)} labels are {said}, the first is sample {wrong[0]}'s{value}"
