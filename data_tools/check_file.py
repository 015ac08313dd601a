"""Read all of one data file and tell what is wrong with it: ``python -m data_tools.check_file``.

Called by ``verify``, which survives if this does not. Prints an object a line: ``at``, what is
being read; ``problem``; and what is known of the file.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hpcgan.errors import DataError
from hpcgan.files import check_is_file, default_chunk

_MOST = 20  # problems of one kind that are listed


def main(file: str, images: str, labels: str) -> None:
    """Check one file; ``labels`` is empty for "labels", if it is there."""
    try:
        check_is_file(Path(file), "file", DataError)
    except DataError as error:
        problem(str(error).removeprefix(f"{file}: "))
        return
    try:
        opened = h5py.File(file, "r", locking=False)
    except (OSError, RuntimeError) as error:
        problem(f"not readable as HDF5: {one_line(error)}")
        return
    samples = check_images(opened, images)
    name = labels or "labels"
    if samples is not None and (labels or name in opened):
        check_labels(opened, name, samples)


def check_images(opened: h5py.File, name: str) -> int | None:
    """Check the samples and return their number; None if that is not known."""
    array = find(opened, name)
    if array is None:
        return None
    if array.ndim not in (4, 5) or 0 in array.shape[1:]:
        problem(f"'{name}' has shape {array.shape}; it must be (N, H, W, C) or (N, D, H, W, C)")
        return None
    if array.dtype.name not in ("uint8", "float32"):
        problem(f"'{name}' has dtype {array.dtype.name}; it must be uint8 or float32")
        return None
    tell(samples=len(array), shape=list(array.shape[1:]), dtype=array.dtype.name)
    if not len(array):
        problem(f"'{name}' holds no samples")
    if is_written(array, name, opened.id.get_filesize()):
        check_values(array, name)
    return len(array)


def find(opened: h5py.File, name: str) -> Any:
    """Return a dataset, or None if there is none."""
    try:
        found = opened.get(name)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        problem(f"'{name}' cannot be opened: {one_line(error)}")
        return None
    if isinstance(found, h5py.Dataset) and found.shape is not None:
        return found
    there = ", ".join(sorted(opened)) or "none"
    problem(f"there is no dataset '{name}'; its names are: {there}")
    return None


def is_written(array: Any, name: str, file_bytes: int) -> bool:
    """Return whether the file has all of a dataset, and tell if not: HDF5 would make it up."""
    if array.is_virtual or not array.size:
        return True
    if array.chunks is None:
        there = array.id.get_storage_size()
        if (array.id.get_offset() or 0) + there <= file_bytes and there:
            return True
        problem(f"'{name}': the file has no room for its {array.nbytes} bytes")
        return False
    expected = math.prod(-(-n // c) for n, c in zip(array.shape, array.chunks, strict=True))
    written = array.id.get_num_chunks()
    if written < expected:
        problem(f"'{name}': {expected - written} of {expected} chunks were never written")
    return bool(written >= expected)


def check_values(array: Any, name: str) -> None:
    """Read all samples; tell of what cannot be read, and of what is not finite."""
    sample_bytes = int(np.prod(array.shape[1:])) * array.dtype.itemsize
    step = array.chunks[0] if array.chunks else default_chunk(sample_bytes, max(1, len(array)))
    unreadable = bad = 0
    for first in range(0, len(array), step):
        last = min(first + step, len(array)) - 1
        tell(at=f"samples {first} to {last} of '{name}'")
        try:
            part = array[first : last + 1]
        except (OSError, RuntimeError, ValueError) as error:
            unreadable += 1
            if unreadable <= _MOST:
                problem(f"samples {first} to {last} of '{name}': {one_line(error)}")
            continue
        if part.dtype.kind == "f" and not np.isfinite(part).all():
            for row in np.flatnonzero(~np.isfinite(part.reshape(len(part), -1)).all(axis=1)):
                bad += 1
                if bad <= _MOST:
                    problem(f"sample {first + row} of '{name}' holds values that are not finite")
    if max(unreadable, bad) > _MOST:
        problem(f"'{name}': {unreadable} chunks are unreadable, {bad} samples not finite, in all")


def check_labels(opened: h5py.File, name: str, samples: int) -> None:
    """Check the labels."""
    array = find(opened, name)
    if array is None:
        return
    tell(labels=array.dtype.name, at=f"'{name}'")
    if array.shape != (samples,):
        problem(f"'{name}' has shape {array.shape}; for {samples} samples it must be ({samples},)")
        return
    if array.dtype.kind not in "iu" and array.dtype.name != "float32":
        problem(f"'{name}' has dtype {array.dtype.name}; labels are integers or float32")
        return
    try:
        values = array[:]
    except (OSError, RuntimeError, ValueError) as error:
        problem(f"'{name}' cannot be read: {one_line(error)}")
        return
    if array.dtype.kind == "f":
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            problem(
                f"'{name}': {len(wrong)} labels are not finite, the first is sample {wrong[0]}'s"
            )
    elif len(values) and values.min() < 0:
        wrong = np.flatnonzero(values < 0)
        problem(
            f"'{name}': {len(wrong)} labels are negative, the first is sample {wrong[0]}'s: "
            f"{values[wrong[0]]}"
        )


def problem(text: str) -> None:
    """Tell of a problem."""
    tell(problem=text)


def tell(**news: Any) -> None:
    """Print a line for ``verify``."""
    print(json.dumps(news), flush=True)


def one_line(error: Exception) -> str:
    """Return an error's text on one line."""
    return " ".join(str(error).split())


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:  # damage has h5py raise anything; what it is matters to no one else
        problem(f"cannot be read on: {type(error).__name__}: {one_line(error)}")
