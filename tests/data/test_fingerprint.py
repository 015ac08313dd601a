"""Fingerprints: what tells one data file from another that has its shape."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcgan.config import DataConfig
from hpcgan.data.fingerprint import fingerprints
from hpcgan.data.source import open_source
from hpcgan.errors import DataError
from hpcgan.world import World


def make(path: Path, seed: int, count: int = 300) -> Path:
    """Write a data file of random samples of 32x32, by default of 300 KiB, after sorted labels."""
    images = np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 1), np.uint8)
    with h5py.File(path, "w") as file:
        file["images"] = images
        file["labels"] = np.zeros(10**5, np.uint8)
    return path


def prints(world: World, *paths: Path) -> tuple[str, ...]:
    """Return the fingerprints of data files."""
    source = open_source(world, DataConfig(files=[str(path) for path in paths]))
    return fingerprints(world, source)


def test_other_samples_and_sizes_show_and_another_name_or_time_does_not(
    world: World, tmp_path: Path
) -> None:
    first = make(tmp_path / "first.h5", 0)
    copy = shutil.copy(first, tmp_path / "copy.h5")
    os.utime(copy, (1, 1))
    others = [make(tmp_path / "other.h5", 1), make(tmp_path / "longer.h5", 0, 301)]
    found = prints(world, first, copy, *others)
    assert found[0] == found[1]
    assert len(set(found)) == 3
    assert all(len(each) == 16 and set(each) <= set("0123456789abcdef") for each in found)
    assert prints(world, others[0], first) == (found[2], found[0])


@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_a_byte_at_the_beginning_in_the_middle_and_at_the_end_counts(
    world: World, tmp_path: Path, place: float
) -> None:
    path = make(tmp_path / "a.h5", 0)
    before = prints(world, path)
    content = bytearray(path.read_bytes())
    last = len(content) - 1
    at = min(last, max(4096, int(place * len(content))))  # behind the header, which HDF5 looks at
    content[at] ^= 1
    path.write_bytes(content)
    assert prints(world, path) != before


def test_a_view_has_the_content_of_the_files_that_it_is_of(world: World, tmp_path: Path) -> None:
    make(tmp_path / "a.h5", 0)
    layout = h5py.VirtualLayout((300, 32, 32, 1), np.uint8)
    layout[:] = h5py.VirtualSource("a.h5", "images", shape=(300, 32, 32, 1))
    with h5py.File(tmp_path / "view.h5", "w") as file:
        file.create_virtual_dataset("images", layout)
    before = prints(world, tmp_path / "view.h5")
    assert prints(world, tmp_path / "view.h5") == before
    make(tmp_path / "a.h5", 1)
    assert prints(world, tmp_path / "view.h5") != before


def test_a_file_that_went_away_is_reported(world: World, tmp_path: Path) -> None:
    source = open_source(world, DataConfig(files=[str(make(tmp_path / "a.h5", 0))]))
    (tmp_path / "a.h5").unlink()
    with pytest.raises(DataError) as caught:
        fingerprints(world, source)
    assert str(caught.value) == f"{tmp_path / 'a.h5'}: cannot be read: No such file or directory"
