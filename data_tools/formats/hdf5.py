"""HDF5 files of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from data_tools.account import Account
from data_tools.conversion import Conversion
from data_tools.formats import Format, Images, cosmoflow, of_array
from data_tools.formats.hdf5_rows import attributes_of, contents, labels_of, rows_of
from data_tools.formats.known import choose, choose_labels
from data_tools.labels import as_text
from hpcgan.errors import DataError
from hpcgan.world import World

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MATLAB = b"MATLAB 7.3 MAT-file"
# Attributes of the samples that change what their values mean.
_MEANINGFUL = ("_FillValue", "missing_value", "scale_factor", "add_offset", "values")
# What netCDF writes where nothing was written (netcdf.h), by type; floats are checked anyway.
_NETCDF_FILLS = {
    "i1": -127,
    "i2": -32767,
    "u2": 65535,
    "i4": -2147483647,
    "u4": 4294967295,
    "i8": -9223372036854775806,
    "u8": 18446744073709551614,
}


def is_hdf5(source: Path) -> bool:
    """Return whether a file has HDF5's signature: at its beginning, or at byte 512, 1024, ...

    Raises:
        OSError: it cannot be read.
    """
    size, place = source.stat().st_size, 0
    with source.open("rb") as file:
        while place < size:
            file.seek(place)
            if file.read(len(_SIGNATURE)) == _SIGNATURE:
                return True
            place = max(512, 2 * place)
    return False


def read_labels(path: Path, name: str | None, samples: int) -> np.ndarray:
    """Return a dataset of labels of some samples: the one that is named, or known.

    Raises:
        DataError: there is none, or it cannot be read, or it is far too large.
    """
    there = contents(path)["datasets"]
    return labels_of(path, choose_labels(there, name, str(path), "dataset"), samples)


def _open_hdf5(conversion: Conversion, account: Account, world: World) -> Images:
    """Open a file, or CosmoFlow's, of which each is one sample."""
    source = conversion.source
    held = world.all_or_raise(lambda: None if source.is_dir() else contents(source))
    if held is None or cosmoflow.is_universe(held["datasets"], conversion):
        return cosmoflow.open_files(conversion, account, world)
    return world.all_or_raise(lambda: _open_file(conversion, held, account))


def _open_file(conversion: Conversion, held: dict[str, Any], account: Account) -> Images:
    """Open the datasets "images" and "labels", those that are named, or those of a known source."""
    source = conversion.source
    chosen = choose(held["datasets"], conversion, str(source), account, "dataset")
    rows = rows_of(source, chosen.images)
    attributes = attributes_of(source, chosen.images)
    _check_matlab(source, attributes, conversion)
    if chosen.layout:
        account.note(f"axes are {chosen.layout}, as such files have them")
    labels, classes = None, tuple[str, ...]()
    if chosen.labels:
        labels = labels_of(source, chosen.labels, len(rows))
        names = attributes_of(source, chosen.labels).get("classes", ())
        classes = tuple(as_text(name) for name in np.ravel(names).tolist())
    if held["is_netcdf"] and not attributes.keys() & {"_FillValue", "missing_value"}:
        fill = _NETCDF_FILLS.get(rows.dtype.str[1:])
        attributes |= {} if fill is None else {"_FillValue": fill}
    kept = {name: attributes[name] for name in _MEANINGFUL if name in attributes}
    return of_array(
        rows, labels, str(source), classes=classes, layout=chosen.layout, attributes=kept
    )


def _check_matlab(source: Path, attributes: dict[str, Any], conversion: Conversion) -> None:
    """Refuse MATLAB's files, whose axes are in reverse, unless it is said how they are meant."""
    with source.open("rb") as file:
        is_matlab = file.read(len(_MATLAB)) == _MATLAB or "MATLAB_class" in attributes
    if is_matlab and conversion.layout is None:
        raise DataError(
            f"{source}: is a MATLAB v7.3 file, whose axes are in reverse: --layout MATLAB if its "
            "arrays were H x W x N or H x W x C x N there, or another --layout that says what the "
            "axes in the file are"
        )


HDF5 = Format(
    "hdf5",
    lambda source: is_hdf5(source) if source.is_file() else cosmoflow.is_folder(source),
    _open_hdf5,
    frozenset({"images", "split", "dataset"}),
)
