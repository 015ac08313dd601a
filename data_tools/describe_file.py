"""What ``inspect`` shows of a file, for the process that reads HDF5 (``hpcgan.hdf5_process``)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from hpcgan import hdf5_limits
from hpcgan.data import checks
from hpcgan.data import values as mappings
from hpcgan.errors import DataError
from hpcgan.files import default_chunk
from hpcgan.terminal import printable

_PREVIEW = 64  # samples
_MOST_LABELS = 12  # that are listed one by one
_MOST_ATTRIBUTE = 2**16  # bytes; HDF5 itself allows more only for newer files


@hdf5_limits.served
def lines(file: str, images: str, labels: str | None) -> Iterator[Any]:
    """Yield what a file holds, a list of texts; it is read a chunk at a time.

    ``images`` and ``labels`` are the datasets; None for "labels", if it is there.

    Raises:
        DataError: a dataset is not there, or cannot be read.
    """
    with h5py.File(file, "r", locking=False) as opened:
        found = _describe_images(_dataset(opened, file, images), file)
        if labels or checks.has_dataset(opened, "labels"):
            found += _describe_labels(_dataset(opened, file, labels or "labels"), file)
        yield [printable(line) for line in found]


@hdf5_limits.served
def preview(file: str, images: str) -> Iterator[Any]:
    """Yield a file's first samples.

    Raises:
        DataError: they are no pictures.
    """
    with h5py.File(file, "r", locking=False) as opened:
        array = _dataset(opened, file, images)
        if array.ndim not in (4, 5) or 0 in array.shape or array.dtype.kind not in "iuf":
            raise DataError(
                f"{file}: '{images}' has shape {array.shape} and dtype {array.dtype.name}, which "
                "cannot be drawn; it must be (N, H, W, C) or (N, D, H, W, C)"
            )
        checks.check_content(array, file)
        hdf5_limits.allow(_row_bytes(array) * (_PREVIEW + (array.chunks or (1,))[0]))
        yield array[:_PREVIEW]


def _dataset(opened: h5py.File, file: str, name: str) -> Any:
    """Return a dataset that has samples."""
    found = checks.dataset(opened, file, name)
    if not found.shape:
        raise DataError(f"{file}: dataset '{name}' has shape {found.shape}; it holds no samples")
    return found


def _row_bytes(array: Any) -> int:
    return checks.shape_bytes(array.shape[1:], array)


def _describe_images(array: Any, file: str) -> list[str]:
    """Return the lines about the samples."""
    stored = array.id.get_storage_size()
    size = checks.array_bytes(array)
    ratio = f", {size / stored:.2f} times smaller" if stored and _filters(array) else ""
    lines = [
        f"{array.name[1:]}: {array.shape[0]} samples {array.shape[1:]} {array.dtype.name}",
        f"  {_chunking(array)}; {_filters(array) or 'no compression'}{ratio}",
    ]
    if array.is_virtual:
        names = sorted({part.file_name for part in array.virtual_sources()})
        lines.append(f"  a view of {len(names)} files: {', '.join(names[:5])}")
    lines += [f"  {name} = {_attribute(array.attrs, name)}" for name in array.attrs]
    if array.dtype.kind in "iuf" and size:
        low, high, mean = _range(array, file)
        lines.append(f"  values from {low:g} to {high:g}, mean {mean:.5g}")
        lines += _use(array, low, high)
    return lines


def _use(array: Any, low: float, high: float) -> list[str]:
    """Return the line about what a run makes of the axes and values, if it takes them."""
    axes = {4: "(H, W, C)", 5: "(D, H, W, C)"}.get(array.ndim)
    if axes is None or array.dtype.name not in ("uint8", "float32"):
        return ["  a run does not take them; hpcgan-data convert makes what it takes"]
    if array.dtype.name == "uint8":
        return [f"  used as {axes}, scaled to {low / 127.5 - 1:.3g} to {high / 127.5 - 1:.3g}"]
    steps = array.attrs.get("values", "")
    if not steps:
        return [f"  used as {axes}, values as they are"]
    source = mappings.inverse(mappings.parse(str(steps)), np.array([low, high]))
    return [
        f"  used as {axes}, values as they are; in the source from {source[0]:g} to {source[1]:g}"
    ]


def _attribute(attributes: Any, name: str) -> Any:
    """Return an attribute's value, or how large it is."""
    size = checks.attribute_bytes(attributes, name)
    return attributes[name] if size <= _MOST_ATTRIBUTE else f"({size} bytes)"


def _chunking(array: Any) -> str:
    """Return how a dataset is cut."""
    if array.chunks is None:
        return "a view" if array.is_virtual else "in one piece"
    size = checks.shape_bytes(array.chunks, array)
    whole = "" if array.chunks[1:] == array.shape[1:] else ", which are parts of samples"
    return f"chunks {array.chunks} of {size} bytes{whole}"


def _filters(array: Any) -> str:
    """Return the names of what is done to a dataset's chunks."""
    plan = array.id.get_create_plist()
    names = [plan.get_filter(n)[3].decode(errors="replace") for n in range(plan.get_nfilters())]
    return ", ".join(names).replace("deflate", "gzip")


def _range(array: Any, file: str) -> tuple[float, float, float]:
    """Return the least and the largest value and the mean; NaN if there is one."""
    checks.check_content(array, file)
    row = _row_bytes(array)
    step = array.chunks[0] if array.chunks else default_chunk(row, array.shape[0])
    lows, highs, total = [], [], 0.0
    for first in range(0, array.shape[0], step):
        hdf5_limits.allow(2 * step * row)
        try:
            part = array[first : first + step]
        except OSError as error:
            raise DataError(
                f"{file}: samples {first} to {first + step - 1} of '{array.name[1:]}' cannot be "
                f"read: {error}; hpcgan-data verify lists all damage"
            ) from None
        lows.append(part.min())
        highs.append(part.max())
        total += float(part.sum(dtype=np.float64))
    return float(np.min(lows)), float(np.max(highs)), total / math.prod(array.shape)


def _describe_labels(array: Any, file: str) -> list[str]:
    """Return the lines about the labels."""
    lines = [f"{array.name[1:]}: {array.shape} {array.dtype.name}"]
    if array.dtype.kind not in "iuf" or 0 in array.shape:
        return lines
    checks.check_content(array, file)
    hdf5_limits.allow(2 * checks.array_bytes(array))
    values = array[:]
    if values.dtype.kind == "f":
        mean = values.mean(dtype=np.float64)
        return [*lines, f"  from {values.min():g} to {values.max():g}, mean {mean:.5g}"]
    names = array.attrs.get("classes", [])
    classes = [str(name) for name in np.ravel(names)]
    counts = sorted(Counter(values.ravel().tolist()).items())
    shown = [
        f"{label}{f' ({classes[label]})' if 0 <= label < len(classes) else ''}: {count}"
        for label, count in counts[:_MOST_LABELS]
    ]
    more = f" and {len(counts) - _MOST_LABELS} more" if len(counts) > _MOST_LABELS else ""
    return [*lines, f"  {len(counts)} different: {', '.join(shown)}{more}"]
