"""Small files for the tests of how data are divided and kept."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

COUNTS = (30, 1, 9)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have four samples read at once."""
    monkeypatch.setattr("hpcgan.data.source.default_chunk", lambda sample_bytes, samples: 4)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Return three files of 40 samples, one compressed; a sample's pixels are its number, n.

    Its label is n % 3.
    """
    names, first = [], 0
    for number, count in enumerate(COUNTS):
        names.append(str(tmp_path / f"{number}.h5"))
        pixels = np.full((count, 2, 2, 1), np.arange(first, first + count).reshape(-1, 1, 1, 1))
        with h5py.File(names[-1], "w") as file:
            file.create_dataset(
                "images",
                data=pixels.astype(np.uint8),
                chunks=(min(4, count), 2, 2, 1),
                compression="gzip" if number == 0 else None,
            )
            file["labels"] = np.arange(first, first + count) % 3
        first += count
    return names
