"""CIFAR-10, CIFAR-100 and STL-10 in their binary versions: records of one length.

A record of CIFAR is a label, or a coarse and a fine one, and 32x32 pixels, first all red, then
green, then blue (https://www.cs.toronto.edu/~kriz/cifar.html). STL-10 has 96x96 pixels, column by
column, and its labels, 1 to 10, in a file of their own (https://cs.stanford.edu/~acoates/stl10/).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_tools.account import Account
from data_tools.conversion import Conversion
from data_tools.formats import Format, Images, on_each_rank
from data_tools.formats.rows import MappedRows
from hpcgan.errors import DataError

_PART = 1000  # records
_MOST_NAMES = 100_000  # bytes of a file of names of classes


@dataclass(frozen=True)
class _Version:
    """What the files of one data set are like.

    Attributes:
        title: its name.
        label_bytes: of a record, before its pixels; the last one is the label that is taken.
        side: pixels of a side.
        layout: order of a record's values.
        classes: how many there are.
        names: the file beside the others that has a name of a class a line.
        splits: names of the files of each split, as patterns.
        pickled: names of the files that only Python's pickle reads, as a pattern.
    """

    title: str
    label_bytes: int
    side: int
    layout: str
    classes: int
    names: str
    splits: dict[str, str]
    pickled: str = ""

    @property
    def record(self) -> int:
        """Bytes of a record."""
        return self.label_bytes + 3 * self.side**2


_CIFAR10 = _Version(
    "CIFAR-10",
    1,
    32,
    "NCHW",
    10,
    "batches.meta.txt",
    {"train": r"data_batch_\d+\.bin", "test": r"test_batch\.bin"},
    r"(data_batch_\d+|test_batch|batches\.meta)",
)
_CIFAR100 = _Version(
    "CIFAR-100",
    2,
    32,
    "NCHW",
    100,
    "fine_label_names.txt",
    {"train": r"train\.bin", "test": r"test\.bin"},
    "train|test|meta",
)
_STL10 = _Version(
    "STL-10",
    0,
    96,
    "MATLAB",  # columns first
    10,
    "class_names.txt",
    {"train": r"train_X\.bin", "test": r"test_X\.bin", "unlabeled": r"unlabeled_X\.bin"},
)


_VERSIONS = (_CIFAR10, _CIFAR100, _STL10)
_PICKLE = b"\x80"  # the opcode that pickles begin with


def _opened(version: _Version, conversion: Conversion, account: Account) -> Images:
    """Open files of a version."""
    source = conversion.source
    if _is_pickled(source, version):
        raise DataError(
            f"{source}: is {version.title}'s version for Python, a pickle, which may run any code "
            f"when it is read; take the binary version, {version.title.lower()}-binary.tar.gz"
        )
    files = _files(version, conversion, account)
    records = [_records(version, path) for path in files]
    ends = np.cumsum([len(each) for each in records]).tolist()

    def read(run: range) -> np.ndarray:
        parts = []
        for own, end in zip(records, ends, strict=True):
            first = end - len(own)
            part = own[max(0, run.start - first) : max(0, run.stop - first)]
            parts.append(part[:, version.label_bytes :])
        return np.concatenate(parts).reshape(-1, 3, version.side, version.side)

    labels = _labels(version, files, records, account)
    return Images(
        str(source),
        (ends[-1], 3, version.side, version.side),
        np.dtype("u1"),
        read,
        labels=labels,
        classes=() if labels is None else _names(version, files[0].parent, account),
        layout=version.layout,
    )


def _files(version: _Version, conversion: Conversion, account: Account) -> list[Path]:
    """Return the files of the split that is asked for, and tell of the others."""
    source = conversion.source
    if source.is_file():
        if conversion.split:
            raise DataError(f"{source}: --split is for a folder of {version.title}'s files")
        return [source]
    split = conversion.split or "train"
    found = {name: _matching(source, pattern) for name, pattern in version.splits.items()}
    if not found.get(split):
        there = ", ".join(path.name for paths in found.values() for path in paths) or "none"
        raise DataError(
            f"{source}: no files of {version.title} are of the split {split}; there are: {there}"
        )
    for path in sorted(source.glob("*.bin")):
        is_label = version is _STL10 and path.name.endswith("_y.bin")
        if conversion.split is None and path not in found[split] and not is_label:
            account.leave_out(
                "files of another split, or none (--split, or the file itself)", path.name
            )
    account.note(f"samples from {', '.join(path.name for path in found[split])}")
    return found[split]


def _matching(folder: Path, pattern: str) -> list[Path]:
    """Return the files of a folder whose names match, by the number in them."""
    found = [path for path in folder.iterdir() if re.fullmatch(pattern, path.name)]
    return sorted(found, key=lambda path: (len(path.name), path.name))


def _records(version: _Version, path: Path) -> MappedRows:
    """Return a file's records, read from the disk when they are used."""
    size = path.stat().st_size
    if size == 0 or size % version.record:
        others = [each for each in _VERSIONS if each is not version]
        raise DataError(
            f"{path}: has {size} bytes, which are not a number of {version.title}'s records of "
            f"{version.record} bytes ("
            f"{', '.join(f'those of {each.title} have {each.record}' for each in others)})"
        )
    return MappedRows(path, (size // version.record, version.record), np.dtype("u1"))


def _labels(
    version: _Version, files: list[Path], records: list[MappedRows], account: Account
) -> np.ndarray | None:
    """Return the labels, from 0; None where there are none."""
    if version is _STL10:
        return _stl10_labels(files[0], len(records[0]), account)
    if version.label_bytes == 2:
        account.note("labels are the fine ones; the coarse ones are not taken")
    found = [_column(each, version.label_bytes - 1) for each in records]
    for path, own in zip(files, found, strict=True):
        if own.max() >= version.classes:
            raise DataError(
                f"{path}: has a label {own.max()}; {version.title}'s are 0 to {version.classes - 1}"
            )
    return np.concatenate(found)


def _column(records: MappedRows, column: int) -> np.ndarray:
    """Return a byte of each record, read in parts."""
    starts = range(0, len(records), _PART)
    return np.concatenate([records[start : start + _PART][:, column] for start in starts])


def _stl10_labels(images: Path, samples: int, account: Account) -> np.ndarray | None:
    """Return the labels beside a file of STL-10's."""
    path = images.with_name(images.name.replace("_X", "_y"))
    if path == images or not path.is_file():
        return None
    if path.stat().st_size != samples:
        raise DataError(f"{path}: has {path.stat().st_size} labels, and {images} {samples} images")
    labels = np.fromfile(path, np.uint8)
    if labels.min() < 1 or labels.max() > 10:
        raise DataError(
            f"{path}: has labels from {labels.min()} to {labels.max()}; STL-10's are 1 to 10"
        )
    account.note(f"labels from {path.name}, and 1 to 10 became 0 to 9")
    return labels - np.uint8(1)


def _names(version: _Version, folder: Path, account: Account) -> tuple[str, ...]:
    """Return the names of the classes, if they are beside the files."""
    path = folder / version.names
    if not path.is_file() or path.stat().st_size > _MOST_NAMES:
        return ()
    names = path.read_text(encoding="utf-8", errors="backslashreplace").split("\n")
    found = tuple(name.strip() for name in names if name.strip())
    if len(found) != version.classes:
        return ()
    account.note(f"names of classes from {path.name}")
    return found


def _is_pickled(source: Path, version: _Version) -> bool:
    """Return whether this is the version that only pickle reads."""
    for path in source.iterdir() if source.is_dir() else [source]:
        if version.pickled and re.fullmatch(version.pickled, path.name) and path.is_file():
            with path.open("rb") as file:
                return file.read(1) == _PICKLE
    return False


def _version_of(source: Path) -> _Version | None:
    """Return the version of a source, by names, or by the size of a file with another name."""
    names = [path.name for path in source.iterdir()] if source.is_dir() else [source.name]
    for version in _VERSIONS:
        patterns = "|".join(version.splits.values())
        if any(re.fullmatch(patterns, name) for name in names) or _is_pickled(source, version):
            return version
    if source.is_dir() or source.suffix.lower() != ".bin":
        return None
    size = source.stat().st_size
    fitting = [version for version in _VERSIONS if size % version.record == 0]
    return fitting[0] if len(fitting) == 1 else _CIFAR10  # which tells what does not fit


def _format(name: str, version: _Version) -> Format:
    """Return the format of a version."""
    return Format(
        name,
        lambda source: _version_of(source) is version,
        on_each_rank(lambda conversion, account: _opened(version, conversion, account)),
        frozenset({"split"}),
    )


CIFAR10 = _format("cifar10", _CIFAR10)
CIFAR100 = _format("cifar100", _CIFAR100)
STL10 = _format("stl10", _STL10)
