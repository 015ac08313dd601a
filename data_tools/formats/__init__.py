"""The formats that ``hpcgan-data convert`` reads: a file a format or a few.

Each opens its source as ``Images``: an array of samples and perhaps labels, of which any run can be
read. Nothing is unpickled, and sizes are checked before memory is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpcgan.errors import DataError

# Gives the images, (len(samples), *shape), and the labels, (len(samples),) or None, of a run.
Read = Callable[[range], tuple[np.ndarray, np.ndarray | None]]


@dataclass(frozen=True)
class Images:
    """Samples that can be read in runs.

    Attributes:
        samples: their number.
        shape: of one: (H, W, C) or (D, H, W, C).
        dtype: "uint8" or "float32".
        labels: dtype of the labels as they are stored, "<i4" or "<f4", or None.
        read: gives the images and labels of a run.
        classes: names of the labels, if they have any.
    """

    samples: int
    shape: tuple[int, ...]
    dtype: str
    labels: str | None
    read: Read
    classes: tuple[str, ...] = ()


def of_arrays(images: np.ndarray, labels: np.ndarray | None, origin: str) -> Images:
    """Return arrays, which may be on disk (memory-mapped, HDF5), as ``Images``.

    Images (N, H, W) get a channel. uint8 and float32 stay as they are, float64 becomes float32,
    and other integers become uint8 if they are from 0 to 255. Integer labels become int32,
    others float32.

    Raises:
        DataError: a shape or dtype is none of these; ``origin`` names the source.
    """
    kind, shape = images.dtype.kind, tuple(images.shape[1:])
    if images.ndim not in (3, 4, 5) or 0 in images.shape:
        raise DataError(
            f"{origin}: the images have shape {images.shape}; they must be (N, H, W), (N, H, W, C) "
            "or (N, D, H, W, C)"
        )
    if kind not in "iu" and images.dtype.name not in ("float32", "float64"):
        raise DataError(
            f"{origin}: the images have dtype {images.dtype}; they must be integers from 0 to 255, "
            "float32 or float64"
        )
    stored = None
    if labels is not None:
        if labels.shape != (len(images),):
            raise DataError(
                f"{origin}: the labels have shape {labels.shape}; for {len(images)} images they "
                f"must be ({len(images)},)"
            )
        if labels.dtype.kind not in "iu" and labels.dtype.name not in ("float32", "float64"):
            raise DataError(
                f"{origin}: the labels have dtype {labels.dtype}; they must be integers or floats"
            )
        stored = "<i4" if labels.dtype.kind in "iu" else "<f4"
    shape = (*shape, 1) if images.ndim == 3 else shape
    dtype = "uint8" if kind in "iu" else "float32"

    def read(samples: range) -> tuple[np.ndarray, np.ndarray | None]:
        run = slice(samples.start, samples.stop)
        part = np.asarray(images[run])
        if dtype == "uint8" and part.dtype != np.uint8 and (part.min() < 0 or part.max() > 255):
            raise DataError(
                f"{origin}: samples {samples.start} to {samples.stop - 1} have values from "
                f"{part.min()} to {part.max()}; integers must be from 0 to 255"
            )
        own_labels = None if labels is None else np.asarray(labels[run])
        return part.astype(dtype).reshape(-1, *shape), own_labels

    return Images(len(images), shape, dtype, stored, read)


def listed(source: Path, *suffixes: str) -> list[Path]:
    """Return ``source`` itself, or the files with one of the suffixes in it, sorted by name.

    Raises:
        DataError: there is none.
    """
    if source.is_file():
        return [source]
    found = sorted(path for path in source.glob("*") if path.name.endswith(suffixes))
    if not found:
        raise DataError(f"{source}: there are no files {' or '.join('*' + s for s in suffixes)}")
    return found
