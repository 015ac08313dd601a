"""HDF5 files as one array of samples.

Files are opened to look at their headers, closed, and opened again by whoever reads: no handle
is kept, so none is shared between processes. They are opened without HDF5's file locks, which
read-only network file systems refuse and readers do not need.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hpcgan.errors import DataError

_DTYPES = ("uint8", "float32")


@dataclass(frozen=True)
class Source:
    """The samples of several files, one after the other.

    Attributes:
        files: the paths.
        lengths: the number of samples in each.
        images: name of the dataset of samples.
        sample_shape: (H, W, C) or (D, H, W, C).
        dtype: "uint8" or "float32".
    """

    files: tuple[str, ...]
    lengths: tuple[int, ...]
    images: str
    sample_shape: tuple[int, ...]
    dtype: str

    def __len__(self) -> int:
        """Return the number of samples in all files."""
        return sum(self.lengths)

    def read(self, samples: range) -> np.ndarray:
        """Return the samples with these numbers, shape (len(samples), *sample_shape).

        Raises:
            DataError: a file cannot be read.
        """
        out = np.empty((len(samples), *self.sample_shape), self.dtype)
        first = 0
        for file, length in zip(self.files, self.lengths, strict=True):
            start, stop = max(samples.start - first, 0), min(samples.stop - first, length)
            if start < stop:
                at = first + start - samples.start
                try:
                    with h5py.File(file, "r", locking=False) as opened:
                        opened[self.images].read_direct(
                            out, np.s_[start:stop], np.s_[at : at + stop - start]
                        )
                except (OSError, KeyError) as error:
                    raise DataError(
                        f"{file}: samples {start} to {stop - 1} of '{self.images}' cannot be "
                        f"read: {error}"
                    ) from None
            first += length
        return out


def open_source(files: list[str], images: str, labels: str | None) -> Source:
    """Look at the headers of ``files`` and return them as one array.

    Raises:
        DataError: a file or dataset is missing, has a wrong shape or dtype, or differs from the
            first file's; the message names it.
    """
    headers = [_header(file, images, labels) for file in files]
    first = headers[0]
    for file, header in zip(files, headers, strict=True):
        if header[1:] != first[1:]:
            raise DataError(
                f"{file}: '{images}' holds {header[2]} samples of shape {header[1]}, but "
                f"{files[0]} holds {first[2]} of shape {first[1]}; all files must agree"
            )
    return Source(tuple(files), tuple(h[0] for h in headers), images, first[1], first[2])


def _header(file: str, images: str, labels: str | None) -> tuple[int, tuple[int, ...], str]:
    """Return one file's number of samples, sample shape and dtype."""
    if not Path(file).is_file():
        raise DataError(f"{file}: there is no such data file (seen from {Path.cwd()})")
    try:
        opened = h5py.File(file, "r", locking=False)
    except OSError as error:
        raise DataError(f"{file}: not readable as HDF5: {error}") from None
    with opened:
        array = _dataset(opened, file, images)
        if array.ndim not in (4, 5) or 0 in array.shape[1:]:
            raise DataError(
                f"{file}: dataset '{images}' has shape {array.shape}; it must be (N, H, W, C) "
                "or (N, D, H, W, C)"
            )
        if array.dtype.name not in _DTYPES:
            raise DataError(
                f"{file}: dataset '{images}' has dtype {array.dtype.name}; it must be uint8 "
                "or float32"
            )
        if labels is not None:
            _check_labels(_dataset(opened, file, labels), array.shape[0], file, labels)
        return array.shape[0], array.shape[1:], array.dtype.name


def _dataset(opened: Any, file: str, name: str) -> Any:
    """Return a dataset of an open file."""
    found = opened.get(name)
    if not isinstance(found, h5py.Dataset):
        there = ", ".join(k for k, v in opened.items() if isinstance(v, h5py.Dataset)) or "none"
        raise DataError(f"{file}: there is no dataset '{name}'; its datasets are: {there}")
    return found


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
