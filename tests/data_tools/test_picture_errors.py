"""Pictures, and what holds them, that cannot become samples: one line says why."""

from __future__ import annotations

import io
import os
import struct
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import h5py
import lmdb
import numpy as np
import pytest
import tifffile
from conversions import conversion, refusal
from PIL import Image
from pngs import GREY, RGB, chunk, png

from data_tools.formats import archive

RNG = np.random.default_rng(19)
COLOUR = RNG.integers(0, 256, (6, 5, 3), np.uint8)
PNG = png(COLOUR, RGB)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory in which the commands run, with a picture p/a.png."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "a.png").write_bytes(PNG)
    return tmp_path


def test_no_pictures(here: Path, capsys) -> None:
    Path("p/a.png").rename("p/a.txt")
    assert "o.h5: 1 samples" in conversion(capsys, "p", "o.h5")  # its content counts
    Path("p/a.txt").write_text("text")
    assert refusal(capsys, "p", "o.h5") == (
        "p: there are no pictures in it or its folders (PNG, JPEG, WebP, BMP, TIFF, GIF, PPM)"
    )


def test_one_picture_is_no_source(here: Path, capsys) -> None:
    assert refusal(capsys, "p/a.png", "o.h5").startswith("p/a.png: its format is a picture alone;")


def test_pictures_that_do_not_agree(here: Path, capsys) -> None:
    Image.fromarray(COLOUR[:4]).save("p/b.png")
    Image.fromarray(COLOUR).save("p/c.png")
    assert refusal(capsys, "p", "o.h5") == (
        "p/b.png: is 4 x 5, and 1 of 3 pictures are not 6 x 5; all must agree, as --size has them"
    )
    tifffile.imwrite("p/b.png", np.zeros((6, 5), np.float32), photometric="minisblack")
    assert refusal(capsys, "p", "o.h5") == (
        "p: values of 8, 16 or 32 bits and floats are not of one scale: a.png (colour), "
        "b.png (real)"
    )


def test_pictures_that_cannot_be_read(here: Path, capsys) -> None:
    begin, end = "p/b.png: not readable as a picture: ", "; --skip-broken leaves such files out"
    half = Path("p/b.png")
    half.write_bytes(PNG[: len(PNG) // 2])
    said = refusal(capsys, "p", "o.h5")
    assert said.startswith(begin)
    assert said.endswith(end)
    half.write_bytes(b"")
    none = f"{begin}it is none of PNG, JPEG, WebP, BMP, TIFF, GIF, PPM{end}"
    assert refusal(capsys, "p", "o.h5") == none
    Path("p/c.jpeg").write_text("<html>")
    assert refusal(capsys, "p", "o.h5") == f"{none} (2 such files)"
    Path("p/c.jpeg").unlink()
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    half.write_bytes(PNG[:8] + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")))
    assert refusal(capsys, "p", "o.h5").startswith(f"{begin}it is too large: ")


def test_options(here: Path, capsys) -> None:
    assert refusal(capsys, "p", "o.h5", "--background", "fog") == (
        "--background fog: is no colour; give a name such as black, or #rrggbb"
    )
    assert refusal(capsys, "p", "o.h5", "--strict", "--skip-broken") == (
        "--strict and --skip-broken contradict each other; choose one"
    )
    Path("p/notes.txt").write_text("notes")
    assert refusal(capsys, "p", "o.h5", "--strict") == (
        "p: left out: no picture: 1 (notes.txt); which --strict forbids"
    )


def test_folders_that_are_parts_are_no_classes(here: Path, capsys) -> None:
    for name in ("train", "Test"):
        Path(f"p/{name}").mkdir()
        Path(f"p/{name}/a.png").write_bytes(PNG)
    assert refusal(capsys, "p", "o.h5") == (
        "p: its folders Test, train seem to be parts of the data, not classes; convert each by "
        "itself, or --labels none for all of them without labels"
    )
    assert "o.h5: 3 samples" in conversion(capsys, "p", "o.h5", "--labels", "none")


def test_names_that_are_no_text(here: Path, capsys) -> None:
    Path("p/a.png").unlink()
    folder = Path(os.fsdecode(b"p/caf\xe9"))
    folder.mkdir()
    (folder / os.fsdecode(b"\xff\n.png")).write_bytes(PNG)
    (folder / os.fsdecode(b"\xfe\n.png")).write_bytes(PNG[:60])
    said = conversion(capsys, "p", "o.h5", "--skip-broken")
    assert "\n  1 classes: 0 caf\\xe9: 1\n" in said
    assert "\n  left out: cannot be read: 1 (caf\\udce9/\\udcfe\\n.png)\n" in said
    assert Path("o.skipped.txt").read_text() == "caf\\udce9/\\udcfe\\n.png\n"
    with h5py.File("o.h5") as file:
        assert list(file["labels"].attrs["classes"]) == ["caf\\xe9"]


def test_the_list_of_skipped_files_is_of_the_last_conversion(here: Path, capsys) -> None:
    Path("p/b.png").write_bytes(PNG[:60])
    conversion(capsys, "p", "o.h5", "--skip-broken")
    assert Path("o.skipped.txt").read_text() == "b.png\n"
    Path("p/b.png").write_bytes(PNG)
    conversion(capsys, "p", "o.h5", "--skip-broken")
    assert not Path("o.skipped.txt").exists()


def test_resized_floats_and_pictures_of_another_ratio(here: Path, capsys) -> None:
    Path("f").mkdir()
    ramp = np.tile(np.arange(8, dtype=np.float32) * 1000, (8, 1))
    tifffile.imwrite("f/a.tif", ramp, photometric="minisblack")
    conversion(capsys, "f", "o.h5", "--size", "4", "--values", "identity")
    with h5py.File("o.h5") as file:
        scaled = Image.fromarray(ramp).resize((4, 4), Image.Resampling.LANCZOS)
        np.testing.assert_array_equal(file["images"][0, ..., 0], np.asarray(scaled))
    said = conversion(capsys, "p", "o.h5", "--size", "4")
    assert "\n  pictures of another ratio stretched (--crop cuts out their middle): 1" in said
    assert "stretched" not in conversion(capsys, "p", "o.h5", "--size", "4", "--crop")


def test_archives_that_are_damaged(here: Path, capsys, monkeypatch) -> None:
    with zipfile.ZipFile("a.zip", "w") as made:
        made.writestr("a.png", PNG)
        made.writestr("b.png", PNG)
    whole = Path("a.zip").read_bytes()
    place = whole.index(PNG)
    Path("a.zip").write_bytes(whole[: place + 50] + b"\xff" + whole[place + 51 :])
    said = refusal(capsys, "a.zip", "o.h5")
    assert said.startswith("a.zip: a.png: cannot be read: Bad CRC-32")
    assert said.endswith("; --skip-broken leaves such files out")
    conversion(capsys, "a.zip", "o.h5", "--skip-broken")
    assert Path("o.skipped.txt").read_text() == "a.png\n"
    central = whole.index(b"PK\x01\x02")
    Path("a.zip").write_bytes(whole[: central + 8] + b"\1" + whole[central + 9 :])
    assert refusal(capsys, "a.zip", "o.h5") == (
        "a.zip: a.png is encrypted; unpack the archive first"
    )
    Path("a.zip").write_bytes(whole)
    with monkeypatch.context() as patch:
        patch.setattr(archive, "MOST", 20)
        said = refusal(capsys, "a.zip", "o.h5")
        assert f"a.png: cannot be read: it has {len(PNG)} bytes, too many" in said


def test_a_tar_that_is_damaged(here: Path, capsys) -> None:
    with tarfile.open("a.tar", "w") as made:
        for name in ("a.png", "b.png", "c.png"):
            entry = tarfile.TarInfo(name)
            entry.size = len(PNG)
            made.addfile(entry, io.BytesIO(PNG))
    whole = Path("a.tar").read_bytes()
    place = whole.index(b"b.png")
    Path("a.tar").write_bytes(whole[:place] + b"x" + whole[place + 1 :])
    assert refusal(capsys, "a.tar", "o.h5") == (
        "a.tar: not readable as .tar: it is damaged after a.png"
    )
    Path("a.tar").write_bytes(whole[: place + 520])
    assert refusal(capsys, "a.tar", "o.h5").startswith("a.tar: not readable as .tar: ")


def test_lmdb_that_cannot_be_read(here: Path, capsys, monkeypatch) -> None:
    with lmdb.open("l.mdb", subdir=False, lock=False) as made, made.begin(write=True) as writing:
        for number in range(20):
            writing.put(b"%03d" % number, PNG * 50)
    whole = Path("l.mdb").read_bytes()
    assert "o.h5: 20 samples, 6x5x3 uint8" in conversion(capsys, "l.mdb", "o.h5")
    Path("l.mdb").write_bytes(whole[: len(whole) // 2])
    assert "truncated" in refusal(capsys, "l.mdb", "o.h5")
    Path("l.mdb").write_bytes(whole[:8192] + bytes(len(whole) - 8192))
    assert refusal(capsys, "l.mdb", "o.h5").startswith("l.mdb: ")
    monkeypatch.setitem(sys.modules, "lmdb", None)
    assert refusal(capsys, "l.mdb", "o.h5") == (
        "l.mdb: is LMDB, for which the package lmdb is not installed; pip install lmdb"
    )


def test_metadata_that_cannot_be_read_says_nothing_of_the_pixels(here: Path, capsys) -> None:
    exif = chunk(b"eXIf", b"MM\0*" + struct.pack(">I", 2**31) + b"damage")
    Path("p/a.png").write_bytes(png(COLOUR[..., 0], GREY, exif))
    conversion(capsys, "p", "o.h5")
    with h5py.File("o.h5") as file:
        np.testing.assert_array_equal(file["images"][0, ..., 0], COLOUR[..., 0])
