"""Fashion-MNIST as Debian packs it, by one command: every pixel and label."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from data_tools import cli


def _content(path: Path, head: int) -> np.ndarray:
    """Return the bytes after an IDX file's header."""
    return np.frombuffer(gzip.decompress(path.read_bytes())[head:], np.uint8)


@pytest.mark.parametrize(
    ("split", "stem", "count"), [("train", "train", 60000), ("test", "t10k", 10000)]
)
def test_all_pictures_and_labels_are_there(
    fashion_mnist: Path, tmp_path: Path, capsys, split: str, stem: str, count: int
) -> None:
    out = tmp_path / "fashion.h5"
    hook = sys.excepthook
    assert cli.main(["convert", str(fashion_mnist), str(out), "--split", split]) == 0
    sys.excepthook = hook
    said = capsys.readouterr().out
    assert f": {count} samples, 28x28x1 uint8, labels int32;" in said
    each = ", ".join(f"{label}: {count // 10}" for label in range(10))
    assert f"\n  10 classes: {each}\n" in said
    with h5py.File(out) as file:
        pixels = _content(fashion_mnist / f"{stem}-images-idx3-ubyte.gz", 16)
        np.testing.assert_array_equal(file["images"][:].reshape(-1), pixels)
        labels = _content(fashion_mnist / f"{stem}-labels-idx1-ubyte.gz", 8)
        np.testing.assert_array_equal(file["labels"], labels)
