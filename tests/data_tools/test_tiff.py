"""TIFF of all sorts: read as tifffile wrote it, or refused; never as something else."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
import tifffile

from data_tools.account import Account
from data_tools.conversion import Conversion
from data_tools.formats.picture_kinds import wanted
from data_tools.formats.pictures import decode, look
from hpcgan.errors import DataError

RNG = np.random.default_rng(20)
COMPRESSIONS = ((None, False), ("zlib", False), ("zlib", True))
GREYS = ("u1", "u2", "i2", "u4", "i4", "f4", "i1", "f2", "f8")


def values(kind: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return values over the whole range of a dtype."""
    dtype = np.dtype(kind)
    if dtype.kind == "f":
        return RNG.normal(size=shape).astype(dtype)
    bounds = np.iinfo(dtype)
    return RNG.integers(bounds.min, bounds.max, shape, dtype, endpoint=True)


def decoded(content: bytes) -> np.ndarray:
    """Return the pixels of a picture that need not agree with others."""
    found = look(io.BytesIO(content), "a.tif", (255, 255, 255))
    assert found is not None
    return decode(content, "a.tif", wanted({found.kind}, Conversion(Path("a"))), Account())


def read(array: np.ndarray, **options: object) -> np.ndarray | str:
    """Return what is read of an array that tifffile writes, or why it is refused."""
    content = io.BytesIO()
    tifffile.imwrite(content, array, **options)
    try:
        return decoded(content.getvalue())
    except DataError as error:
        said = str(error).removeprefix("a.tif: not readable as a picture: ")
        return said.removesuffix("; --skip-broken leaves such files out")


def layouts() -> list[dict]:
    """Return the options of tifffile: order of bytes, compression, predictor, tiles."""
    return [
        {"byteorder": order, "compression": compression, "predictor": predictor, "tile": tile}
        for order, (compression, predictor), tile in itertools.product(
            "<>", COMPRESSIONS, (None, (16, 16))
        )
    ]


@pytest.mark.parametrize("kind", GREYS)
def test_greys(kind: str) -> None:
    array = values(kind, (32, 48))
    expected = np.rint(array / 257).astype(np.uint8) if kind == "u2" else array
    found = [
        read(array, photometric="minisblack", **each)
        for each in layouts()
        if not (each["predictor"] and kind[0] == "f")  # tifffile needs more packages for that
    ]
    whole = [each for each in found if not isinstance(each, str)]
    for each in whole:
        np.testing.assert_array_equal(each[..., 0], expected)
    # Which are refused: those of dtypes and orders of bytes that Pillow does not read.
    least = {"u1": len(found), "u2": len(found), "u4": len(found) // 2, "i1": 0, "f2": 0, "f8": 0}
    assert len(whole) >= least.get(kind, len(found) // 2)
    assert (not whole) is (least.get(kind) == 0)


@pytest.mark.parametrize("kind", ["u1", "u2"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colours(kind: str, planar: str) -> None:
    array = values(kind, (32, 48, 3))
    expected = array >> (8 if kind == "u2" else 0)
    planes = np.ascontiguousarray(np.moveaxis(array, -1, 0)) if planar == "separate" else array
    for each in layouts():
        found = read(planes, photometric="rgb", planarconfig=planar, **each)
        if kind == "u2" and planar == "separate" and each["compression"] is None:
            assert found == (
                "its channels of 16 bits are apart; save them pixel by pixel (contiguous)"
            )
        else:
            np.testing.assert_array_equal(found, expected)


def test_white_that_is_zero() -> None:
    array = values("u1", (6, 5))
    np.testing.assert_array_equal(read(array, photometric="miniswhite")[..., 0], 255 - array)
    for kind in ("u2", "f4"):
        said = read(values(kind, (6, 5)), photometric="miniswhite")
        assert said == "its white is 0, which is read of 8 bits only; save it with black as 0"


def test_sorts_that_pillow_reads_wrongly_or_not_at_all() -> None:
    said = read(values("i1", (6, 5)), photometric="minisblack")
    assert said == "its values have a sign and 8 bits; save them as 16-bit or float32"
    for kind in ("i2", "i4", "f4"):
        said = read(
            values(kind, (6, 5)), photometric="minisblack", byteorder=">", compression="zlib"
        )
        assert isinstance(said, str)
        assert said.startswith("it is compressed with the highest bytes first")
    said = read(values("f8", (6, 5)), photometric="minisblack")
    assert said == "it is a damaged TIFF, or one of a sort that Pillow does not read"


def test_strips_that_are_only_part_of_the_picture() -> None:
    content = io.BytesIO()
    tifffile.imwrite(content, values("u1", (6, 5)), photometric="minisblack")
    content.seek(0)
    with tifffile.TiffFile(content) as file:
        place = file.pages[0].tags["ImageLength"].valueoffset
        damaged = bytearray(content.getvalue())
    damaged[place] = 60
    with pytest.raises(DataError, match="it is damaged: its strips or tiles are only part of it"):
        decoded(bytes(damaged))


def test_damage_is_not_told_by_libtiff(capfd: pytest.CaptureFixture[str]) -> None:
    content = io.BytesIO()
    tifffile.imwrite(content, np.zeros((64, 64), np.uint8), compression="zlib")
    damaged = content.getvalue()[:-20] + bytes(20)
    with pytest.raises(DataError, match=r"^a\.tif: not readable as a picture: "):
        decoded(damaged)
    assert capfd.readouterr() == ("", "")
