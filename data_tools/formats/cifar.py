"""CIFAR-10's binary version: records of a label and 32x32 pixels, first all red, green, blue."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data_tools.formats import Images, listed
from hpcgan.errors import DataError

_RECORD = 1 + 3 * 32 * 32  # bytes


def open_cifar10(source: Path) -> Images:
    """Open a .bin file, or all in a folder one after the other.

    Raises:
        DataError: a file is no whole number of records, or a label is not 0 to 9.
    """
    files = listed(source, ".bin")
    records = []
    for path in files:
        size = path.stat().st_size
        if size == 0 or size % _RECORD:
            raise DataError(
                f"{path}: has {size} bytes, which are not a number of CIFAR-10's records of "
                f"{_RECORD} bytes"
            )
        records.append(np.memmap(path, np.uint8, "r", shape=(size // _RECORD, _RECORD)))
    ends = np.cumsum([len(each) for each in records]).tolist()

    def read(samples: range) -> tuple[np.ndarray, np.ndarray | None]:
        parts = []
        for path, own, end in zip(files, records, ends, strict=True):
            first = end - len(own)
            part = own[max(0, samples.start - first) : max(0, samples.stop - first)]
            if len(part) and part[:, 0].max() > 9:
                raise DataError(f"{path}: has a label {part[:, 0].max()}; CIFAR-10's are 0 to 9")
            parts.append(part)
        part = np.concatenate(parts)
        pixels = part[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        return pixels, part[:, 0]

    return Images(ends[-1], (32, 32, 3), "uint8", "<i4", read)
