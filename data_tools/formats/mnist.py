"""IDX, the format of MNIST's files (Y. LeCun), compressed with gzip or not: one file, or a folder.

Fashion-MNIST, KMNIST and EMNIST have the same.
"""

from __future__ import annotations

import gzip
import math
import re
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from data_tools.account import Account
from data_tools.conversion import Conversion
from data_tools.formats import Format, Images, check_labels, of_array, on_each_rank
from data_tools.formats.rows import BROKEN, MappedRows, StreamedRows
from hpcgan.errors import DataError

# The third byte of an IDX file; values of several bytes have their highest first.
_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
# Names of the files: MNIST's own has a hyphen, what its users unpacked a dot before "idx".
_NAME = re.compile(r"(?P<begin>.*?)-?(?P<what>images|labels)[-.]idx[13]-ubyte(\.gz)?$")
_SPLITS = {"train": ("train",), "test": ("t10k", "test")}  # how what is before "images" ends


def is_idx(path: Path) -> bool:
    """Return whether a file begins as an IDX file does."""
    try:
        with _open(path) as file:
            head = file.read(4)
    except BROKEN:
        return False
    return len(head) == 4 and head[:2] == b"\0\0" and head[2] in _DTYPES and 1 <= head[3] <= 5


def read_idx_labels(path: Path, samples: int) -> np.ndarray:
    """Return all of a file of labels of some samples.

    Raises:
        DataError: it is no IDX file, or has another number of bytes than its header claims.
    """
    array = _array(path)
    check_labels(array.shape, samples, str(path))
    return array[0 : len(array)]


def _array(path: Path) -> MappedRows | StreamedRows:
    """Return a file's array, of which runs are read when they are needed."""
    try:
        with _open(path) as file:
            head = file.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _DTYPES or not head[3]:
                raise DataError(f"{path}: begins with {head.hex(' ')}, which is not IDX")
            sides = file.read(4 * head[3])
            is_gzip = isinstance(file, gzip.GzipFile)
    except BROKEN as error:
        raise DataError(f"{path}: not readable as IDX: {error}") from None
    if len(sides) < 4 * head[3]:
        raise DataError(f"{path}: ends in its header, which has {head[3]} sides")
    shape = tuple(np.frombuffer(sides, ">i4").tolist())
    dtype = np.dtype(_DTYPES[head[2]])
    begin, size = 4 + 4 * head[3], path.stat().st_size
    expected = math.prod(shape) * dtype.itemsize
    is_there = is_gzip or size - begin == expected
    if min(shape) < 0 or not is_there:
        raise DataError(
            f"{path}: claims {' x '.join(map(str, shape))} values of {dtype.itemsize} bytes, but "
            f"holds {max(0, size - begin)} bytes"
        )
    if is_gzip:
        return StreamedRows(lambda: _opened_at(path, begin), shape, dtype, str(path), size)
    return MappedRows(path, shape, dtype, begin)


def _open(path: Path) -> BinaryIO:
    """Open a file for reading, through gzip if it begins as gzip does."""
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    return cast(BinaryIO, gzip.GzipFile(path)) if is_gzip else path.open("rb")


def _opened_at(path: Path, begin: int) -> BinaryIO:
    """Return an open file of which the first bytes are read."""
    file = _open(path)
    file.read(begin)
    return file


def _open_idx(conversion: Conversion, account: Account) -> Images:
    """Open a file of images or a folder, with the labels that MNIST puts beside them."""
    source = conversion.source
    if source.is_dir():
        files = _files(source)
        path = _of_split(source, files, conversion, account)
    elif conversion.split:
        raise DataError(f"{source}: --split is for a folder of MNIST's files")
    else:
        path, files = source, _files(source.parent) if conversion.labels is None else {}
    images = _array(path)
    match = _NAME.match(path.name)
    beside = files.get((match["begin"], "labels")) if match else None
    labels = None
    if conversion.labels is None and beside and beside != path:
        labels = read_idx_labels(beside, len(images))
        account.note(f"labels from {beside.name}")
    return of_array(images, labels, str(source))


def _files(folder: Path) -> dict[tuple[str, str], Path]:
    """Return MNIST's files in a folder by what is before "images" or "labels", and this.

    Of a file that is there both with gzip and without, it is the one without.
    """
    found: dict[tuple[str, str], Path] = {}
    for path in sorted(folder.iterdir()):
        match = _NAME.match(path.name)
        if match and path.is_file():
            found.setdefault((match["begin"], match["what"]), path)
    return found


def _of_split(
    folder: Path, files: dict[tuple[str, str], Path], conversion: Conversion, account: Account
) -> Path:
    """Return the images of the split that is asked for, and tell of the others."""
    images = {begin: path for (begin, what), path in files.items() if what == "images"}
    wanted = _SPLITS.get(conversion.split or "train", ())
    own = [begin for begin in images if begin.endswith(wanted)]
    if conversion.split is None and len(images) == 1:  # whatever its name is
        own = list(images)
    if len(own) != 1:
        there = ", ".join(path.name for path in images.values()) or "none"
        raise DataError(
            f"{folder}: {'several' if own else 'no'} files of images are of the split "
            f"{conversion.split or 'train'}; there are: {there}; --split or one of these files "
            "says which"
        )
    account.note(f"samples from {images[own[0]].name}")
    for begin, path in images.items():
        if begin != own[0] and conversion.split is None:
            account.leave_out("images of another split (--split test)", path.name)
    return images[own[0]]


def _is_source(source: Path) -> bool:
    return (
        any(what == "images" for _, what in _files(source)) if source.is_dir() else is_idx(source)
    )


IDX = Format("idx", _is_source, on_each_rank(_open_idx), frozenset({"split"}))
