"""CIFAR-10's binary version: records of a label and 32x32 pixels, first all red, green, blue."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data_tools.account import Account
from data_tools.conversion import Conversion
from data_tools.formats import Format, Images, listed, on_each_rank
from hpcgan.errors import DataError

_RECORD = 1 + 3 * 32 * 32  # bytes


def _open_cifar10(conversion: Conversion, account: Account) -> Images:
    """Open a .bin file, or all in a folder one after the other.

    Raises:
        DataError: a file is no whole number of records, or a label is not 0 to 9.
    """
    files = listed(conversion.source, ".bin")
    records = []
    for path in files:
        size = path.stat().st_size
        if size == 0 or size % _RECORD:
            raise DataError(
                f"{path}: has {size} bytes, which are not a number of CIFAR-10's records of "
                f"{_RECORD} bytes"
            )
        records.append(np.memmap(path, np.uint8, "r", shape=(size // _RECORD, _RECORD)))
        if (wrong := records[-1][:, 0].max()) > 9:
            raise DataError(f"{path}: has a label {wrong}; CIFAR-10's are 0 to 9")
    ends = np.cumsum([len(each) for each in records]).tolist()

    def read(run: range) -> np.ndarray:
        parts = []
        for own, end in zip(records, ends, strict=True):
            first = end - len(own)
            parts.append(own[max(0, run.start - first) : max(0, run.stop - first), 1:])
        return np.concatenate(parts).reshape(-1, 3, 32, 32)

    labels = np.concatenate([each[:, 0] for each in records])
    shape = (ends[-1], 3, 32, 32)
    return Images(str(conversion.source), shape, np.dtype("u1"), read, labels=labels, layout="NCHW")


def _is_cifar10(source: Path) -> bool:
    names = [path.name for path in source.iterdir()] if source.is_dir() else [source.name]
    return any(name.lower().endswith(".bin") for name in names)


CIFAR10 = Format("cifar10", _is_cifar10, on_each_rank(_open_cifar10))
