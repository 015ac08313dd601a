"""A part that is not as it was written is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcgan.generation import seal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a sealed file of 1,000 bytes."""
    path = tmp_path / "part"
    path.write_bytes(bytes(range(250)) * 4)
    with path.open("r+b", buffering=0) as file:
        seal.add(file, "seed 3")
    return path


def test_a_whole_part_is_whole(path: Path) -> None:
    assert seal.is_whole(path, "seed 3")
    assert not seal.is_whole(path, "seed 4")
    assert path.read_bytes()[:1000] == bytes(range(250)) * 4
    lines = path.read_bytes()[1000:].decode().rstrip("\0").splitlines()
    assert lines == [
        "hpcgan-samples-1",
        # printf 'seed 3' | sha256sum; and of the bytes above
        "1ea7ad119cf5e275415ba3dd4642e1ee181fc99041bae962b2d32553d679c119",
        "5d4b1b13f0daa86380d0ac6912a60a307cc9719115ecadb10a06d2d3603bd35c",
    ]


@pytest.mark.parametrize("place", [0, 500, 999, 1005, 1030, 1100, 1255])
def test_each_byte_counts(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    assert not seal.is_whole(path, "seed 3")


@pytest.mark.parametrize("size", [0, 1, 255, 256, 1000, 1255])
def test_what_was_cut_off_is_not_whole(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])
    assert not seal.is_whole(path, "seed 3")
    assert seal.fingerprint_of(path) is None
