"""CosmoFlow's HDF5 files: one universe a file, and a folder of them is one source.

``full`` (D, H, W, 4) counts particles at four times; ``unitPar`` and ``physPar`` are parameters of
the simulation, scaled to [-1, 1] and in their own units (https://portal.nersc.gov/project/m3363/).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_tools.account import Account
from data_tools.conversion import Conversion
from data_tools.formats import Images, is_hidden, readable
from data_tools.formats.hdf5_rows import contents, labels_of, rows_of
from data_tools.formats.known import choose
from hpcgan.errors import DataError
from hpcgan.world import World

_SUFFIXES = (".hdf5", ".h5")
_UNIVERSE, _PARAMETERS = "full", ("unitPar", "physPar")


def is_folder(source: Path) -> bool:
    """Return whether a folder and those in it hold HDF5 files and no others."""
    found = False
    for path in source.rglob("*"):
        if path.is_file() and not is_hidden(path.name):
            if path.suffix.lower() not in _SUFFIXES:
                return False
            found = True
    return found


def is_universe(datasets: Sequence[str], conversion: Conversion) -> bool:
    """Return whether a file of these datasets is one of CosmoFlow's, and meant as such."""
    return (
        conversion.images in (None, _UNIVERSE)
        and _UNIVERSE in datasets
        and any(name in datasets for name in _PARAMETERS)
    )


def open_files(conversion: Conversion, account: Account, world: World) -> Images:
    """Open a universe, or a folder of them. All ranks must call it; they share the files."""
    source = conversion.source
    files = world.all_or_raise(
        lambda: [source] if source.is_file() else readable(source, lambda: _files(source))
    )
    labels = world.all_or_raise(lambda: _chosen_labels(files[0], conversion, account))
    own = files[world.rank :: world.size]
    every = world.gather_json(world.all_or_raise(lambda: [_header(each, labels) for each in own]))
    headers = [every[number % world.size][number // world.size] for number in range(len(files))]
    world.all_or_raise(lambda: _check_alike(files, headers))
    if len(files) > 1:
        account.note("files, of which each is one sample", count=len(files))
    return Images(
        str(source),
        (len(files), *headers[0]["shape"]),
        np.dtype(headers[0]["dtype"]),
        lambda run: np.stack([rows_of(files[number], _UNIVERSE)[:] for number in run]),
        labels=np.array([header["labels"] for header in headers]) if labels else None,
        names=[str(path.relative_to(source)) for path in files],
    )


def _files(folder: Path) -> list[Path]:
    """Return the files of a folder."""
    every = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    return [path for path in every if not is_hidden(path.name)]


def _chosen_labels(path: Path, conversion: Conversion, account: Account) -> str | None:
    """Return the parameters to take as labels, by what the first file holds."""
    names = contents(path)["datasets"]
    if not is_universe(names, conversion):
        raise DataError(
            f"{path.parent}: the HDF5 files in a folder are read as one source where each holds "
            f"one sample, CosmoFlow's '{_UNIVERSE}'; {path.name} holds {', '.join(names[:9])}: "
            "convert them one by one"
        )
    return choose(names, conversion, str(path), account, "dataset").labels


def _header(path: Path, labels: str | None) -> dict[str, Any]:
    """Return shape and dtype of a universe, and its labels."""
    rows = rows_of(path, _UNIVERSE)
    found = labels_of(path, labels, 1).ravel() if labels else None
    if found is not None and found.dtype.kind not in "iuf":
        raise DataError(f"{path}: '{labels}' has dtype {found.dtype}; it must be numbers")
    return {
        "shape": rows.shape,
        "dtype": rows.dtype.str,
        "labels": None if found is None else found.tolist(),
    }


def _check_alike(files: list[Path], headers: list[dict[str, Any]]) -> None:
    """Refuse files that differ from the first."""
    first = headers[0]
    for path, header in zip(files, headers, strict=True):
        if (header["shape"], header["dtype"]) != (first["shape"], first["dtype"]):
            raise DataError(
                f"{path}: '{_UNIVERSE}' has shape {tuple(header['shape'])} and dtype "
                f"{header['dtype']}, and that of {files[0]} {tuple(first['shape'])} and "
                f"{first['dtype']}"
            )
        if header["labels"] is not None and len(header["labels"]) != len(first["labels"]):
            raise DataError(
                f"{path}: has {len(header['labels'])} labels, and {files[0]} {len(first['labels'])}"
            )
