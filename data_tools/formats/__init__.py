"""The formats that ``hpcgan-data convert`` reads: a file a format or a few.

Each opens its source as ``Images``: samples of which any run can be read, as the source has them,
and all labels. What is then done to axes, values and labels is the same for all formats
(``axes``, ``numbers``, ``labels``). Nothing is unpickled, and sizes are checked before memory is
taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from data_tools.account import Account
from data_tools.conversion import Conversion
from hpcgan.errors import DataError
from hpcgan.world import World

T = TypeVar("T")
_MOST_LABEL_VALUES = 10_000  # of a sample


@dataclass(frozen=True)
class Images:
    """Samples that can be read in runs, and their labels.

    Attributes:
        origin: the source's name, which begins messages.
        shape: of all samples: (N, ...), in the source's own order of axes.
        dtype: of the values.
        read: gives the samples of a run, (len(run), *shape[1:]), of that dtype.
        labels: of all samples, (N, ...), as the source has them: numbers, truth values, texts
            (dtype str or bytes) or one-hot; None without any.
        classes: names of the labels 0, 1, ..., if the source has any.
        layout: the order of the axes (``Conversion.layout``) where the format fixes it; None for a
            plain array, whose axes are looked at.
        names: of the samples, by which a file of labels may name them; empty without any.
        attributes: of the samples, as the source has them; what is left of them at the end is
            written.
        values: mappings of the values where ``--values`` gives none.
    """

    origin: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[range], np.ndarray]
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    layout: str | None = None
    names: Sequence[str] = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    values: Sequence[str] = ()

    def __len__(self) -> int:
        """Return the number of samples."""
        return self.shape[0]

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize


@dataclass(frozen=True)
class Format:
    """A format of sources.

    Attributes:
        name: for ``--format``.
        recognises: whether a source is of this format, by what is in it. It may raise OSError.
        open: opens a source; all ranks must call it, and it raises the same on all. It notes in
            the account what it does and leaves out, alike on all ranks.
        options: the fields of ``Conversion`` that it takes, beside those that all formats take.
    """

    name: str
    recognises: Callable[[Path], bool]
    open: Callable[[Conversion, Account, World], Images]
    options: frozenset[str] = frozenset()


def readable(source: Path, function: Callable[[], T]) -> T:
    """Call a function that reads a source.

    Raises:
        DataError: the system does not let it, mostly since the user may not read there.
    """
    try:
        return function()
    except OSError as error:
        path = error.filename or source
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def on_each_rank(
    opened: Callable[[Conversion, Account], Images],
) -> Callable[[Conversion, Account, World], Images]:
    """Return the ``Format.open`` of a format of which each rank opens the source by itself."""

    def open_together(conversion: Conversion, account: Account, world: World) -> Images:
        return world.all_or_raise(
            lambda: readable(conversion.source, lambda: opened(conversion, account))
        )

    return open_together


def of_array(array: Any, labels: np.ndarray | None, origin: str, **more: Any) -> Images:
    """Return an array, which may be on disk (memory-mapped, rows of HDF5), as ``Images``.

    ``array`` has ``shape`` and ``dtype`` and gives rows by slices.
    """
    return Images(
        origin=origin,
        shape=tuple(array.shape),
        dtype=np.dtype(array.dtype),
        read=lambda run: np.asarray(array[run.start : run.stop]),
        labels=labels,
        **more,
    )


def check_labels(shape: tuple[int, ...], samples: int, origin: str) -> None:
    """Refuse labels that are far too many for some samples, before memory for them is taken."""
    if math.prod(shape) > _MOST_LABEL_VALUES * samples:
        raise DataError(
            f"{origin}: the labels have shape {shape}, which is too much for {samples} images"
        )


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is one that systems put beside people's own."""
    return name.startswith((".", "__MACOSX")) or name.lower() in ("thumbs.db", "desktop.ini")
