"""NumPy's .npy and .npz files.

An .npy file and what an .npz stores uncompressed are mapped: read from the disk when they are used.
What an .npz holds compressed is read in order.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import numpy as np
from numpy.lib import format as npy

from data_tools.account import Account
from data_tools.conversion import Conversion
from data_tools.formats import Format, Images, check_labels, of_array, on_each_rank
from data_tools.formats.known import choose, choose_labels, listed
from data_tools.formats.rows import BROKEN, PART, MappedRows, StreamedRows
from hpcgan.errors import DataError
from hpcgan.world import World

# What zipfile raises of archives that are damaged, encrypted or of unknown compression.
_BROKEN = (*BROKEN, RuntimeError, NotImplementedError, KeyError)
_MOST_FORTRAN = 2**30  # bytes of an array that can only be read as a whole
_LOCAL_HEADER = 30  # bytes of a zip member's own header before its name (APPNOTE.TXT, 4.3.7)


def read_npy(path: Path) -> MappedRows:
    """Return a .npy file's array, of which runs are read when they are needed.

    Raises:
        DataError: it is no such file, or holds Python objects.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy reads the header as Python's text: damage raises anything
        raise DataError(f"{path}: not readable as .npy: {_first_line(error)}") from None
    if not array.ndim:
        raise DataError(f"{path}: holds a single value, no array")
    is_fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    return MappedRows(path, array.shape, array.dtype, array.offset, is_fortran)


def read_npy_labels(path: Path, samples: int) -> np.ndarray:
    """Return all of a .npy file of labels of some samples.

    Raises:
        DataError: it is no such file, or is far too large.
    """
    return _whole(read_npy(path), samples, str(path))


def _whole(rows: MappedRows | StreamedRows | np.ndarray, samples: int, origin: str) -> np.ndarray:
    """Return all labels of some samples."""
    check_labels(tuple(rows.shape), samples, origin)
    return np.asarray(rows[0 : len(rows)])


def read_npz_labels(path: Path, name: str | None, samples: int) -> np.ndarray:
    """Return an array of labels in an archive: the one that is named, or known.

    Raises:
        DataError: it is not there, holds Python objects, or is far too large.
    """
    array = _member(path, choose_labels(_names(path), name, str(path), "array"))
    return _whole(array, samples, str(path))


def _names(path: Path) -> list[str]:
    """Return the names of an archive's arrays."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [each.removesuffix(".npy") for each in archive.namelist()]
    except _BROKEN as error:
        raise DataError(f"{path}: not readable as .npz: {_first_line(error)}") from None
    return names


def _member(path: Path, name: str) -> MappedRows | StreamedRows | np.ndarray:
    """Return an array of an archive, of which runs are read when they are needed."""
    names = _names(path)
    if name not in names:
        raise DataError(f"{path}: there is no array '{name}'; its arrays are: {listed(names)}")
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.NameToInfo.get(f"{name}.npy") or archive.getinfo(name)
            with archive.open(info) as file:
                shape, fortran, dtype = _header(file)
                begin = file.tell()
        if dtype.hasobject:
            raise ValueError("it holds Python objects, which are not unpickled")
        if not shape:
            raise ValueError(f"'{name}' is a single value, no array")
        if info.compress_type == zipfile.ZIP_STORED:
            if math.prod(shape) * dtype.itemsize != info.file_size - begin:
                raise ValueError(f"'{name}' claims another number of bytes than it has")
            return MappedRows(path, shape, dtype, _data_offset(path, info) + begin, fortran)
    except Exception as error:  # as for .npy, and what zipfile raises
        raise DataError(f"{path}: not readable as .npz: {_first_line(error)}") from None
    rows = StreamedRows(
        lambda: _opened_at(path, info, begin), shape, dtype, f"{path}: '{name}'", info.compress_size
    )
    return _of_fortran(rows, path, name) if fortran and len(shape) > 1 else rows


def _of_fortran(rows: StreamedRows, path: Path, name: str) -> np.ndarray:
    """Return an array whose first axis runs fastest: all of it has to be read."""
    size = math.prod(rows.shape) * rows.dtype.itemsize
    if size > _MOST_FORTRAN:
        raise DataError(
            f"{path}: '{name}' is in Fortran's order and compressed, and has {size} bytes, which "
            "can only be read as a whole; write it with numpy.savez or in C order "
            "(numpy.ascontiguousarray)"
        )
    return rows[0 : len(rows)].reshape(rows.shape[::-1]).T


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, order and dtype of an array, from the header in front of its values."""
    version = npy.read_magic(file)
    if version == (1, 0):
        return npy.read_array_header_1_0(file)
    if version == (2, 0):
        return npy.read_array_header_2_0(file)
    raise ValueError(f"its .npy version is {version}, which only structures need")


def _data_offset(path: Path, info: zipfile.ZipInfo) -> int:
    """Return where in the archive the content of a member begins."""
    with path.open("rb") as file:
        file.seek(info.header_offset)
        head = file.read(_LOCAL_HEADER)
    return (
        info.header_offset
        + _LOCAL_HEADER
        + int.from_bytes(head[26:28], "little")
        + int.from_bytes(head[28:30], "little")
    )


def _opened_at(path: Path, info: zipfile.ZipInfo, begin: int) -> BinaryIO:
    """Return a member, open behind its header."""
    with zipfile.ZipFile(path) as archive:
        file = archive.open(info)  # which keeps the archive open as long as itself
    file.read(begin)
    return cast(BinaryIO, file)


def _check_sums(path: Path) -> None:
    """Compare the checksums of what is stored uncompressed, which is mapped and so not checked."""
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.compress_type == zipfile.ZIP_STORED:
                    with archive.open(info) as file:
                        while file.read(PART):
                            pass
    except _BROKEN as error:
        raise DataError(f"{path}: not readable as .npz: {_first_line(error)}") from None


def _first_line(error: BaseException) -> str:
    """Return the first line of an error's text."""
    return (str(error) or type(error).__name__).splitlines()[0]


def _open_npy(conversion: Conversion, account: Account) -> Images:
    source = conversion.source
    return of_array(read_npy(source), None, str(source))


def _open_npz(conversion: Conversion, account: Account, world: World) -> Images:
    """Open an archive's arrays: "images" and "labels", those that are named, or known ones."""
    world.on_root(lambda: _check_sums(conversion.source))
    return world.all_or_raise(lambda: _open_members(conversion, account))


def _open_members(conversion: Conversion, account: Account) -> Images:
    source = conversion.source
    chosen = choose(_names(source), conversion, str(source), account, "array")
    images = _member(source, chosen.images)
    labels = None
    if chosen.labels is not None:
        rows = _member(source, chosen.labels)
        labels = _whole(rows, len(images), f"{source}: '{chosen.labels}'")
    return of_array(images, labels, str(source), layout=chosen.layout)


def _has_suffix(suffix: str) -> Callable[[Path], bool]:
    return lambda source: source.is_file() and source.suffix.lower() == suffix


NPY = Format("npy", _has_suffix(".npy"), on_each_rank(_open_npy))
NPZ = Format("npz", _has_suffix(".npz"), _open_npz, frozenset({"images", "split"}))
