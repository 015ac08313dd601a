"""What samples and labels a data file may hold, and what its attributes say of them.

For the process that reads HDF5 files (``hdf5_process``). Where a file could be meant in two ways
the text names the option of ``hpcgan-data convert`` that says which.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hpcgan.data import values
from hpcgan.data.checks import attribute_bytes
from hpcgan.errors import DataError

MOST_CHANNELS = 4
_DTYPES = ("uint8", "float32")  # of samples
_MOST_CONDITIONS = 1000  # of a sample
_MATLAB = b"MATLAB 7.3 MAT-file"
_MOST_ATTRIBUTE = 2**16  # bytes


def wrong_samples(array: Any, name: str) -> str:
    """Return why an array cannot be samples, as text after a file's name, or ""."""
    shape, dtype, convert = array.shape, array.dtype, _convert(array, name)
    if is_matlab(array):
        return (
            f"'{name}' is MATLAB's, which writes the axes in reverse; {convert} --layout MATLAB "
            "puts them in order"
        )
    if shape is None or len(shape) not in (4, 5) or 0 in shape[1:]:
        is_known = shape is not None and len(shape) in (2, 3) and 0 not in shape
        hint = f"; {convert} makes it so" if is_known else ""
        return f"'{name}' has shape {shape}; it must be (N, H, W, C) or (N, D, H, W, C){hint}"
    if dtype.name not in _DTYPES:
        hint = f"; {convert} makes it so" if dtype.kind in "biuf" else ""
        return f"'{name}' has dtype {dtype.name}; it must be uint8 or float32{hint}"
    if looks_channel_first(shape) and text(array, "layout") not in ("NHWC", "NDHWC"):
        last, first = ("NHWC", "NCHW") if len(shape) == 4 else ("NDHWC", "NCDHW")
        volumes = ", NDHW that these are volumes without one" if len(shape) == 4 else ""
        return (
            f"'{name}' has shape {shape}: the axis of the channels seems to be first, and it must "
            f"be last; {convert} --layout {first} puts it there (--layout {last} says that it is "
            f"last already{volumes})"
        )
    return ""


def looks_channel_first(shape: tuple[int, ...]) -> bool:
    """Return whether (N, ...) seems to be (N, C, H, W) or (N, C, D, H, W)."""
    return shape[1] <= MOST_CHANNELS < shape[-1]


def is_matlab(array: Any) -> bool:
    """Return whether MATLAB wrote a dataset, or the file that holds it."""
    if "MATLAB_class" in array.attrs:
        return True
    if not array.file.userblock_size:
        return False
    with Path(array.file.filename).open("rb") as file:
        return file.read(len(_MATLAB)) == _MATLAB


def wrong_labels(array: Any, name: str, samples: int) -> str:
    """Return why an array cannot be the labels of some samples, or ""."""
    shape, kind = array.shape, array.dtype.kind
    is_vectors = shape is not None and len(shape) == 2 and 2 <= shape[1] <= _MOST_CONDITIONS
    if shape is None or shape[:1] != (samples,) or not (len(shape) == 1 or is_vectors):
        return (
            f"'{name}' has shape {shape}; for {samples} samples it must be ({samples},), or "
            f"({samples}, K) with K from 2 to {_MOST_CONDITIONS} for conditions of K values"
            f"{_made(kind) if array.size == samples else ''}"
        )
    if array.dtype.name == "float32" or (kind in "iu" and not is_vectors):
        return ""
    return (
        f"'{name}' has dtype {array.dtype.name} and shape {shape}; labels are one integer a sample "
        f"for classes, float32 for conditions{_made(kind)}"
    )


def _made(kind: str) -> str:
    return "; hpcgan-data convert makes them so" if kind in "biufSUO" else ""


def _convert(array: Any, name: str) -> str:
    """Return the beginning of the command that converts a dataset."""
    named = "" if name == "images" else f" --images {name}"
    return f"hpcgan-data convert {array.file.filename} OUT.h5{named}"


def mapping(array: Any, file: str) -> str:
    """Return the attribute ``values`` of a dataset of samples: how they were mapped.

    Raises:
        DataError: it names no mapping.
    """
    found = text(array, "values")
    try:
        values.parse(found)
    except ValueError as error:
        raise DataError(
            f"{file}: the attribute 'values' of '{array.name[1:]}' names no mapping: {error}"
        ) from None
    return found


def class_names(array: Any) -> list[str] | None:
    """Return the names of the classes 0, 1, ... of labels; none without; None for too many.

    Those of more than 64 KiB are too many.
    """
    if "classes" not in array.attrs:
        return []
    if attribute_bytes(array.attrs, "classes") > _MOST_ATTRIBUTE:
        return None
    names = [_decoded(each) for each in np.ravel(array.attrs["classes"]).tolist()]
    return names if sum(map(len, names)) <= _MOST_ATTRIBUTE else None


def text(array: Any, name: str) -> str:
    """Return an attribute's text; "" without, and of what is no text or longer than 64 KiB."""
    if name not in array.attrs or attribute_bytes(array.attrs, name) > _MOST_ATTRIBUTE:
        return ""
    found = array.attrs[name]
    is_text = isinstance(found, str | bytes) and len(found) <= _MOST_ATTRIBUTE
    return _decoded(found) if is_text else ""


def _decoded(found: Any) -> str:
    """Return text that can be printed and written, whatever the bytes of it are."""
    # h5py gives bytes that are not UTF-8 as halves of characters.
    raw = found if isinstance(found, bytes) else str(found).encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "backslashreplace")
