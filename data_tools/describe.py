"""The command ``inspect``: what data files hold, told for people."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hpcgan import pictures
from hpcgan.errors import DataError
from hpcgan.files import check_is_file, default_chunk, writing

_PREVIEW = 64  # samples
_MOST_LABELS = 12  # that are listed one by one


def describe(path: str, images: str, labels: str | None) -> str:
    """Return what a file holds, in a few lines.

    It is read a chunk at a time.

    Args:
        path: the file.
        images: dataset of the samples.
        labels: dataset of the labels; None for "labels", if it is there.

    Raises:
        DataError: the file or a dataset is not there, or cannot be read.
    """
    with _opened(path) as file:
        lines = [f"{path}: {Path(path).stat().st_size} bytes"]
        lines += _describe_images(_dataset(file, path, images))
        name = labels or "labels"
        if labels or name in file:
            lines += _describe_labels(_dataset(file, path, name))
    return "\n  ".join(lines)


def draw(path: str, images: str, out: Path) -> None:
    """Draw a file's first samples in a grid.

    Raises:
        DataError: they cannot be read.
        RunError: ``out`` cannot be written.
    """
    with _opened(path) as file:
        samples = _dataset(file, path, images)[:_PREVIEW]
    if samples.dtype == np.float32 and (samples.min() >= 0 or abs(samples).max() > 1):
        low, high = samples.min(), samples.max()  # not in [-1, 1]: from the least to the most
        samples = (samples - low) / max(high - low, 1e-30) * 2 - 1
    with writing(out):
        pictures.grid(samples).save(out)


def _opened(path: str) -> h5py.File:
    """Open a file for reading."""
    check_is_file(Path(path), "data file", DataError)
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        raise DataError(f"{path}: not readable as HDF5: {error}") from None


def _dataset(file: h5py.File, path: str, name: str) -> Any:
    """Return a dataset of an open file."""
    found = file.get(name)
    if not isinstance(found, h5py.Dataset) or found.ndim == 0:
        there = ", ".join(k for k, v in file.items() if isinstance(v, h5py.Dataset)) or "none"
        raise DataError(f"{path}: there is no dataset '{name}'; its datasets are: {there}")
    return found


def _describe_images(array: Any) -> list[str]:
    """Return the lines about the samples."""
    sample_bytes = int(np.prod(array.shape[1:])) * array.dtype.itemsize
    stored = array.id.get_storage_size()
    ratio = f", {array.nbytes / stored:.2f} times smaller" if stored and _filters(array) else ""
    lines = [
        f"{array.name[1:]}: {len(array)} samples {array.shape[1:]} {array.dtype.name}",
        f"  {_chunking(array, sample_bytes)}; {_filters(array) or 'no compression'}{ratio}",
    ]
    if array.is_virtual:
        names = sorted({part.file_name for part in array.virtual_sources()})
        lines.append(f"  a view of {len(names)} files: {', '.join(names[:5])}")
    lines += [f"  {name} = {value}" for name, value in array.attrs.items()]
    if array.dtype.kind in "iuf" and array.size:
        low, high, mean = _range(array, sample_bytes)
        lines.append(f"  values from {low:g} to {high:g}, mean {mean:.5g}")
    return lines


def _chunking(array: Any, sample_bytes: int) -> str:
    """Return how a dataset is cut."""
    if array.chunks is None:
        return "a view" if array.is_virtual else "in one piece"
    size = int(np.prod(array.chunks)) * array.dtype.itemsize
    whole = "" if array.chunks[1:] == array.shape[1:] else ", which are parts of samples"
    return f"chunks {array.chunks} of {size} bytes{whole}"


def _filters(array: Any) -> str:
    """Return the names of what is done to a dataset's chunks."""
    plan = array.id.get_create_plist()
    names = [plan.get_filter(n)[3].decode(errors="replace") for n in range(plan.get_nfilters())]
    return ", ".join(names).replace("deflate", "gzip")


def _range(array: Any, sample_bytes: int) -> tuple[float, float, float]:
    """Return the least and the largest value and the mean; NaN if there is one."""
    step = array.chunks[0] if array.chunks else default_chunk(sample_bytes, len(array))
    lows, highs, total = [], [], 0.0
    for first in range(0, len(array), step):
        try:
            part = array[first : first + step]
        except OSError as error:
            raise DataError(
                f"{array.file.filename}: samples {first} to {first + step - 1} of "
                f"'{array.name[1:]}' cannot be read: {error}; hpcgan-data verify lists all damage"
            ) from None
        lows.append(part.min())
        highs.append(part.max())
        total += float(part.sum(dtype=np.float64))
    return float(np.min(lows)), float(np.max(highs)), total / array.size


def _describe_labels(array: Any) -> list[str]:
    """Return the lines about the labels."""
    labels = array[:]
    lines = [f"{array.name[1:]}: {labels.shape} {labels.dtype.name}"]
    classes = [str(name) for name in array.attrs.get("classes", [])]
    if labels.dtype.kind in "iu" and labels.size:
        counts = sorted(Counter(labels.ravel().tolist()).items())
        shown = [
            f"{label}{f' ({classes[label]})' if 0 <= label < len(classes) else ''}: {count}"
            for label, count in counts[:_MOST_LABELS]
        ]
        more = f" and {len(counts) - _MOST_LABELS} more" if len(counts) > _MOST_LABELS else ""
        lines.append(f"  {len(counts)} different: {', '.join(shown)}{more}")
    elif labels.size and labels.dtype.kind == "f":
        lines.append(
            f"  from {labels.min():g} to {labels.max():g}, mean {labels.mean(dtype=np.float64):.5g}"
        )
    return lines
