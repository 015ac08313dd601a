"""The file of a classifier: numbers and a description, no code.

An HDF5 file with a checksum in its user block (``hpcgan.sealed``); all weights are one dataset, and
the network that they belong to follows from the description. The file may come from others: it is
read by the process that damage may kill (``hpcgan.hdf5``).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hpcgan import __version__, hdf5_limits, sealed
from hpcgan.data import checks
from hpcgan.errors import ConfigError, DataError
from hpcgan.files import whole_hdf5
from hpcgan.hdf5 import Hdf5Error, call

FORMAT = "hpcgan-classifier-1"
MOST_CLASSES = 10_000
_WEIGHTS, _DESCRIPTION = "weights", "description"
_NUMBERS = ("mean", "deviation", "accuracy")
_MOST_TEXT = 2**20  # bytes of the description


@dataclass(frozen=True)
class Classifier:
    """A classifier of samples.

    Attributes:
        sample_shape: (H, W, C) or (D, H, W, C).
        dtype: "uint8" or "float32", of the samples.
        classes: how many.
        names: of the classes 0, 1, ...; none if they have none.
        mean: of the values of all training samples, uint8 scaled to [-1, 1].
        deviation: the standard deviation of these, above 0.
        accuracy: share of held-out samples whose class it finds.
        weights: all of the network's, (n,) float32, one after the other.
    """

    sample_shape: tuple[int, ...]
    dtype: str
    classes: int
    names: tuple[str, ...]
    mean: float
    deviation: float
    accuracy: float
    weights: np.ndarray

    @property
    def identity(self) -> str:
        """Text that differs where what it computes does."""
        digest = hashlib.sha256(_described(self).encode() + self.weights.tobytes())
        return f"classifier {digest.hexdigest()}"


def write(out: Path, classifier: Classifier) -> None:
    """Write a classifier to a file, which is whole or absent at any instant; rank 0 alone.

    Raises:
        DataError: ``out`` is a directory, or is in none.
        RunError: the file cannot be written.
    """
    with whole_hdf5(out, lambda content: sealed.seal(FORMAT, content)) as file:
        file.attrs["hpcgan_version"] = __version__
        file.attrs[_DESCRIPTION] = _described(classifier)
        file[_WEIGHTS] = classifier.weights


def read(path: Path) -> Classifier:
    """Read and verify a classifier.

    Raises:
        ConfigError: the file is missing, is no classifier, or is damaged.
    """
    try:
        sealed.check(path, FORMAT, "classifier", ConfigError)
        text, (weights,) = call(content, str(path))
        return _parsed(text, weights)
    except (
        OSError,
        Hdf5Error,
        DataError,
        ValueError,
        KeyError,
        TypeError,
        RecursionError,
    ) as error:
        reason = str(error).removeprefix(f"{path}: ") or type(error).__name__
        raise ConfigError(f"{path}: damaged, or no classifier: {reason}") from None


@hdf5_limits.served
def content(path: str) -> Iterator[Any]:
    """Yield the weights and the description of a file."""
    with h5py.File(path, "r", locking=False) as file:
        array = checks.dataset(file, path, _WEIGHTS)
        checks.check_claim(array, path)
        if array.dtype != np.float32 or array.ndim != 1 or array.chunks or array.is_virtual:
            raise DataError(f"{path}: its weights are no plain float32 vector")
        if checks.attribute_bytes(file.attrs, _DESCRIPTION) > _MOST_TEXT:
            raise DataError(f"{path}: its description is too long")
        hdf5_limits.allow(checks.array_bytes(array))
        yield array[:]
        yield str(file.attrs[_DESCRIPTION])[:_MOST_TEXT]


def _described(classifier: Classifier) -> str:
    """Return all but the weights as text."""
    fields = {each.name: getattr(classifier, each.name) for each in dataclasses.fields(classifier)}
    del fields["weights"]
    return json.dumps(fields)


def _parsed(text: str, weights: np.ndarray) -> Classifier:
    """Return what ``_described`` gave.

    Raises:
        ValueError, KeyError, TypeError, RecursionError: the text, which may be anybody's, is not
            of it.
    """
    found = json.loads(text)
    shape, names = tuple(found["sample_shape"]), tuple(found["names"])
    mean, deviation, accuracy = (float(found[name]) for name in _NUMBERS)
    is_right = (
        len(shape) in (3, 4)
        and all(type(each) is int and 0 < each < 2**31 for each in shape)
        and found["dtype"] in ("uint8", "float32")
        and type(found["classes"]) is int
        and 2 <= found["classes"] <= MOST_CLASSES
        and len(names) in (0, found["classes"])
        and all(isinstance(each, str) for each in names)
        and all(map(math.isfinite, (mean, deviation, accuracy)))
        and deviation > 0
        and bool(np.isfinite(weights).all())
    )
    if not is_right:
        raise ValueError("its description contradicts itself")
    classes, dtype = found["classes"], found["dtype"]
    return Classifier(shape, dtype, classes, names, mean, deviation, accuracy, weights)
