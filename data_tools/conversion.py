"""What ``convert`` is asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from data_tools.layout import Compression
from hpcgan.files import expanded

Split = Literal["train", "test", "validation"]
Axes = Literal["NHWC", "NCHW", "NDHWC", "NCDHW", "NHW", "NDHW", "MATLAB"]


@dataclass(frozen=True)
class Conversion:
    """What to convert, and how.

    Attributes:
        source: a file or folder.
        format: None to find it out.
        dataset: name of a known data set, which sets what is not given (``datasets``).
        split: of sources that hold several; None for train.
        images: name of the samples in sources that hold several arrays.
        labels: their name there, a file of labels or FILE:NAME, or "none"; None to find them.
        layout: order of the axes of the samples; None where it is plain.
        shape: of a sample that is flattened.
        values: mappings of the values, as ``hpcgan.data.values`` reads them.
        size: height and width of the samples, to which pictures are scaled.
        crop: whether to cut the middle out of a picture of another ratio.
        grey: whether to keep one channel.
        background: colour below transparent pictures, as Pillow names it.
        strict: whether what would be left out is an error.
        skip_broken: whether to leave out files that cannot be read.
        chunk: samples per chunk; None for about 1 MiB.
        compression: of the chunks.
    """

    source: Path
    format: str | None = None
    dataset: str | None = None
    split: Split | None = None
    images: str | None = None
    labels: str | None = None
    layout: Axes | None = None
    shape: tuple[int, ...] | None = None
    values: Sequence[str] = ()
    size: tuple[int, int] | None = None
    crop: bool = False
    grey: bool = False
    background: str = "white"
    strict: bool = False
    skip_broken: bool = False
    chunk: int | None = None
    compression: Compression = "none"

    @property
    def own_labels(self) -> str | None:
        """The name of the labels inside the source; None where it is not given."""
        is_own = self.labels not in (None, "none") and not named_file(str(self.labels))
        return self.labels if is_own else None


def named_file(words: str) -> tuple[Path, str | None] | None:
    """Return the file and the array in it that ``--labels`` names, or None if it names no file."""
    begin, _, end = words.rpartition(":")
    for file, name in ((words, None), (begin, end)):
        # Not by Path, which raises where a name is longer than any of a file.
        if file and name != "" and os.path.isfile(expanded(file)):  # noqa: PTH113
            return Path(expanded(file)), name
    return None
