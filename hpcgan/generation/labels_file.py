"""``generate --labels FILE``: the label of each sample, read in pieces as they are needed.

FILE is HDF5 with a dataset ``labels``, as data files have: (N,) integers for classes, numbers (N,)
or (N, K) for real values. Or it is text (.txt) with a line a sample: a class by its name or number,
a value, or K values A,B,...
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from hpcgan.blocks import BLOCK
from hpcgan.checkpoint import Checkpoint
from hpcgan.data import headers
from hpcgan.errors import ConfigError, DataError
from hpcgan.files import check_is_file
from hpcgan.gan import conditions
from hpcgan.hdf5 import call_on_data
from hpcgan.world import World

_CHECKED = 2**18  # labels that a rank looks at in one go


class _Rows(Protocol):
    """The labels of a file.

    Attributes:
        length: how many there are.
    """

    length: int

    def read(self, first: int, last: int) -> np.ndarray:
        """Return labels first to last - 1, as the file has them."""


class LabelsFile:
    """The labels of all samples."""

    def __init__(self, path: Path, found: Checkpoint) -> None:
        """Look at the file's header, or at a text's lines.

        Raises:
            DataError: it cannot be read, or its labels are of another kind than the networks'.
        """
        check_is_file(path, "file of labels", DataError)
        self._path = path
        self._found = found
        self._rows: _Rows = _Text(path, found) if path.suffix == ".txt" else _Hdf5(path, found)

    def check(self, world: World, count: int) -> None:
        """Check that there are ``count`` labels, which the networks know. All ranks must call it.

        The ranks share out the labels.

        Raises:
            DataError: it is not so; the first wrong label is named.
        """
        world.all_or_raise(lambda: self._check_length(count))
        firsts = range(world.rank * _CHECKED, count, world.size * _CHECKED)
        wrong = ""
        for first in firsts:
            wrong = self._wrong(first, min(first + _CHECKED, count))
            if wrong:
                break
        first_wrong = min(filter(None, world.gather_json(wrong and [first, wrong])), default=None)
        if first_wrong:
            raise DataError(first_wrong[1], on_all_ranks=True)

    def of(self, samples: np.ndarray) -> np.ndarray:
        """Return the labels of some samples, ascending, as in the data, (n,) or (n, K).

        Samples of a block behind the last label get that one: nobody uses them.
        """
        samples = np.minimum(samples, self._rows.length - 1)
        first = int(samples[0])
        rows = self._rows.read(first, int(samples[-1]) + 1)[samples - first]
        dtype = np.float32 if self._found.config.model.condition == "regression" else np.int32
        return rows.astype(dtype)

    def _check_length(self, count: int) -> None:
        if self._rows.length != count:
            raise DataError(
                f"{self._path}: has {self._rows.length} labels for the {count} samples of --count"
            )

    def _wrong(self, first: int, last: int) -> str:
        """Return what is wrong with the first wrong one of some labels, or ""."""
        rows = self._rows.read(first, last)
        model, samples = self._found.config.model, self._found.samples
        if model.condition == "regression":
            low, high = np.array(conditions.label_ranges(model)).T
            values = rows.reshape(len(rows), -1)
            # As they are used: what float32 rounds out of the range is out of it.
            values = values.astype(np.float32)
            bad = ~((values >= low.astype(np.float32)) & (values <= high.astype(np.float32)))
            bad, known = bad.any(axis=1), _spans(low, high)
        else:
            assert model.classes is not None
            bad, known = (rows < 0) | (rows >= model.classes), f"0 to {model.classes - 1}"
            if samples.counts:
                empty = np.array(samples.counts) == 0
                bad = bad | empty[np.clip(rows, 0, model.classes - 1)]
                known += ", of which it has seen samples" if empty.any() else ""
        if not bad.any():
            return ""
        index = int(np.argmax(bad))
        return (
            f"{self._path}: label {first + index} is {rows[index].tolist()}, and the labels of "
            f"{self._found.path} are {known}"
        )


def _spans(low: np.ndarray, high: np.ndarray) -> str:
    """Return the ranges of some values in words."""
    return ", ".join(f"{a:g} to {b:g}" for a, b in zip(low, high, strict=True))


class _Hdf5:
    """Labels of an HDF5 file."""

    def __init__(self, path: Path, found: Checkpoint) -> None:
        self._file = str(path)
        (header, _) = call_on_data(headers.labels_header, self._file, "labels")
        self.length, *of_label = header["shape"]
        model = found.config.model
        expected = list(conditions.label_shape(model))
        kinds = "iu" if model.condition != "regression" else "iuf"
        if of_label != expected or header["kind"] not in kinds:
            numbers = "integers" if kinds == "iu" else "numbers"
            shape = ", ".join(map(str, ["N", *expected]))
            raise DataError(
                f"{path}: 'labels' has shape {tuple(header['shape'])} and dtype {header['dtype']}; "
                f"those of {found.path} are {numbers} of shape ({shape}{',' * (not expected)})"
            )

    def read(self, first: int, last: int) -> np.ndarray:
        """Return labels first to last - 1."""
        _, (rows,) = call_on_data(headers.rows, self._file, "labels", first, last)
        return rows


class _Text:
    """Labels of a text file."""

    def __init__(self, path: Path, found: Checkpoint) -> None:
        self._path = path
        self._found = found
        self._known: dict[str, np.ndarray] = {}
        self._offsets = []  # in bytes, of every block's first line
        self.length = offset = 0
        with path.open("rb") as file:
            for line in file:
                if self.length % BLOCK == 0:
                    self._offsets.append(offset)
                self.length += 1
                offset += len(line)

    def read(self, first: int, last: int) -> np.ndarray:
        """Return labels first to last - 1."""
        with self._path.open("rb") as file:
            file.seek(self._offsets[first // BLOCK])
            for _ in range(first % BLOCK):
                file.readline()
            return np.stack([self._label(file.readline(), i) for i in range(first, last)])

    def _label(self, line: bytes, index: int) -> np.ndarray:
        """Return the label that a line asks for."""
        word = line.decode("utf-8", "backslashreplace").strip()
        if word in self._known:
            return self._known[word]
        found = self._found
        try:
            label = conditions.asked_for(found.config.model, found.samples, word, str(found.path))
        except ConfigError as error:
            said = str(error).removeprefix("--label ")
            raise DataError(f"{self._path}: label {index}: {said}") from None
        if found.config.model.condition != "regression":
            self._known[word] = label
        return label
