"""Pictures of all sorts: their pixels as NumPy has them, from one process and from three."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from conversions import Case, Converted, convert_all
from picture_cases import pictures, saved
from PIL import Image, ImageSequence
from pngs import GREY, GREY_ALPHA, RGB, chunk, png, turned

RNG = np.random.default_rng(17)
COLOUR = RNG.integers(0, 256, (6, 5, 3), np.uint8)
OTHER = RNG.integers(0, 256, (6, 5, 3), np.uint8)
SHADE = RNG.integers(0, 256, (6, 5), np.uint8)
DEEP = RNG.integers(0, 2**16, (6, 5)).astype(np.uint16)
FLOATS = RNG.normal(size=(3, 6, 5)).astype(np.float32) * 1000


def triple(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., np.newaxis], 3, axis=2)


def by_content(place: Path) -> Case:
    """Formats under suffixes of others; the first of several pictures in a file."""
    (place / "content").mkdir()
    several = [Image.fromarray(each) for each in (COLOUR, OTHER)]
    kinds = {
        "a.jpg": {"format": "webp", "lossless": True},
        "b.png": {"format": "bmp"},
        "c.dat": {"format": "tiff"},
        "d.gif": {"format": "png"},
        "e": {"format": "ppm"},
        "f.tif": {"format": "tiff", "save_all": True, "append_images": several[1:]},
        "g.webp": {
            "format": "webp",
            "save_all": True,
            "append_images": several[1:],
            "lossless": True,
        },
        "h.png": {"format": "png", "save_all": True, "append_images": several[1:]},
        "i.jfif": {"format": "jpeg"},
        "j.gif": {"format": "gif", "save_all": True, "append_images": several[1:]},
    }
    for name, options in kinds.items():
        several[0].save(place / "content" / name, **options)
    (place / "content" / "notes.txt").write_text("BMW and II and P5s are no pictures")
    with Image.open(place / "content" / "j.gif") as gif:
        first = np.asarray(next(ImageSequence.Iterator(gif)).convert("RGB"))
    jpeg = np.asarray(Image.open(place / "content" / "i.jfif"))
    return pictures(
        ["content"],
        np.stack([COLOUR] * 8 + [jpeg, first]),
        said=(
            "the first of several pictures in a file taken: 4 (content/f.tif, content/g.webp, "
            "content/h.png, ...)",
            "left out: no picture: 1 (notes.txt)",
        ),
    )


def sixteen_bits(place: Path) -> Case:
    """Greys of 16 bits in PNG, TIFF of both byte orders, and PGM, beside one of 8 bits."""
    (place / "deep").mkdir()
    (place / "deep/a.png").write_bytes(png(DEEP, GREY))
    tifffile.imwrite(place / "deep/b.tif", DEEP, byteorder="<", photometric="minisblack")
    tifffile.imwrite(place / "deep/c.tif", DEEP, byteorder=">", photometric="minisblack")
    (place / "deep/d.pgm").write_bytes(b"P5 5 6 65535\n" + DEEP.astype(">u2").tobytes())
    saved(place / "deep/e.png", SHADE)
    clear = chunk(b"tRNS", int(DEEP[2, 3]).to_bytes(2, "big"))
    (place / "deep/f.png").write_bytes(png(DEEP, GREY, clear))
    scaled = np.rint(DEEP.astype(np.float64) * 255 / 65535).astype(np.uint8)
    hole = np.where(np.equal(DEEP, DEEP[2, 3]), 0, scaled)
    return pictures(
        ["deep", "--background", "black"],
        np.stack([scaled] * 4 + [SHADE, hole])[..., np.newaxis],
        said=("greys of 16 bits scaled to 8 (--values keeps all): 5 (deep/a.png, ",),
    )


def sixteen_bits_mapped(place: Path) -> Case:
    """The same with a mapping: no bit is lost."""
    (place / "mapped").mkdir()
    (place / "mapped/a.png").write_bytes(png(DEEP, GREY))
    tifffile.imwrite(place / "mapped/b.tif", DEEP, photometric="minisblack")
    expected = (DEEP / 32768 - 1).astype(np.float32)
    words = ["mapped", "--values", f"scale:{1 / 32768},-1"]
    return pictures(words, np.stack([expected] * 2)[..., np.newaxis])


def deep_colours(place: Path) -> Case:
    """Colours and alpha of 16 bits, of which Pillow keeps the upper 8."""
    (place / "deepcolours").mkdir()
    colours = RNG.integers(0, 2**16, (6, 5, 3)).astype(np.uint16)
    solid = np.stack([DEEP, np.full_like(DEEP, 65535)], axis=-1)
    (place / "deepcolours/a.png").write_bytes(png(colours, RGB))
    (place / "deepcolours/b.png").write_bytes(png(solid, GREY_ALPHA))
    tifffile.imwrite(place / "deepcolours/c.tif", colours, photometric="rgb")
    upper = (colours >> 8).astype(np.uint8)
    return pictures(
        ["deepcolours"],
        np.stack([upper, triple((DEEP >> 8).astype(np.uint8)), upper]),
        said=(
            "colours of 16 bits cut to the upper 8: 3 (deepcolours/a.png, ",
            "grey pictures among colours became colour (--grey: all grey): 1 (b.png)",
        ),
    )


def floats(place: Path) -> Case:
    """Floats, without --values: by their range, which the file keeps."""
    for number, each in enumerate(FLOATS):
        (place / "floats").mkdir(exist_ok=True)
        tifffile.imwrite(place / f"floats/{number}.tif", each, photometric="minisblack")
    low, high = float(FLOATS.min()), float(FLOATS.max())
    expected = (2 * (FLOATS.astype(np.float64) - low) / (high - low) - 1).astype(np.float32)
    return pictures(
        ["floats"],
        expected[..., np.newaxis],
        said=("--values minmax, as is the default for pictures of floats", "values from -1 to 1"),
    )


def whole_numbers(place: Path) -> Case:
    """Whole numbers of 32 bits without a sign, beyond those with one."""
    values = RNG.integers(0, 2**32, (2, 6, 5)).astype(np.uint32)
    values[0, 0, 0] = 2**32 - 1
    for number, each in enumerate(values):
        (place / "whole").mkdir(exist_ok=True)
        tifffile.imwrite(place / f"whole/{number}.tif", each, photometric="minisblack")
    expected = (values.astype(np.float64) * 1e-9 - 2).astype(np.float32)
    return pictures(["whole", "--values", "scale:1e-9,-2"], expected[..., np.newaxis])


def orientations(place: Path) -> Case:
    """All of EXIF's orientations, in PNG (also after the pixels), JPEG, TIFF and WebP."""
    (place / "turned").mkdir()
    upright: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, 1),
    }
    expected = []
    for number, turn in upright.items():
        stored = COLOUR if number < 5 else np.ascontiguousarray(COLOUR.transpose(1, 0, 2))
        name = str(place / "turned" / str(number))
        exif = Image.Exif()
        exif[0x0112] = number
        Path(f"{name}.a.png").write_bytes(png(stored, RGB, chunk(b"eXIf", turned(number))))
        Image.fromarray(stored).save(f"{name}.b.jpg", exif=exif)
        Image.fromarray(stored).save(f"{name}.c.tif", exif=exif)
        Image.fromarray(stored).save(f"{name}.d.webp", exif=exif, lossless=True)
        with Image.open(f"{name}.b.jpg") as picture:
            lossy = np.asarray(picture)
        expected += [turn(each) for each in (stored, lossy, stored, stored)]
    late = chunk(b"eXIf", turned(2))
    (place / "turned/9.png").write_bytes(png(COLOUR, RGB, after=late))
    expected.append(COLOUR[:, ::-1])
    said = ("turned upright, as EXIF says: 29 (turned/2.a.png, turned/2.b.jpg, turned/2.c.tif, ",)
    return pictures(["turned"], np.stack(expected), said=said)


def transparency(place: Path) -> Case:
    """All ways of being transparent, on a background; multiples of 5, so that a fifth is exact."""
    (place / "clear").mkdir()
    below = np.array([15, 45, 70])
    colours = RNG.integers(0, 52, (6, 5, 3)).astype(np.uint8) * 5
    alpha = RNG.choice(np.array([0, 51, 255], np.uint8), (6, 5, 1))
    on = np.rint((colours.astype(float) * alpha + below * (255.0 - alpha)) / 255).astype(np.uint8)
    greys = colours[..., :1]
    grey_on = np.rint((greys.astype(float) * alpha + below * (255.0 - alpha)) / 255)
    saved(place / "clear/a.png", np.concatenate([colours, alpha], axis=2))
    saved(place / "clear/b.png", np.concatenate([greys, alpha], axis=2))
    tifffile.imwrite(
        place / "clear/c.tif",
        np.concatenate([colours, alpha], axis=2),
        photometric="rgb",
        extrasamples=["unassalpha"],
    )
    indices = RNG.integers(0, 4, (6, 5)).astype(np.uint8)
    palette = Image.fromarray(indices, "P")
    table = np.array([[250, 0, 5], [0, 100, 0], [5, 5, 95], [40, 50, 60]], np.uint8)
    palette.putpalette(table.tobytes())
    palette.save(place / "clear/d.png", transparency=bytes([255, 0, 51, 255]))
    opacity = np.array([255, 0, 51, 255])[indices][..., np.newaxis]
    palette_on = np.rint((table[indices].astype(float) * opacity + below * (255 - opacity)) / 255)
    palette.save(place / "clear/e.gif", transparency=1)
    gif_on = np.where(indices[..., np.newaxis] == 1, below, table[indices])
    key = chunk(b"tRNS", colours[1, 1].astype(">u2").tobytes())
    (place / "clear/f.png").write_bytes(png(colours, RGB, key))
    key_on = np.where((colours == colours[1, 1]).all(axis=2, keepdims=True), below, colours)
    expected = [on, grey_on, on, palette_on, gif_on, key_on]
    return pictures(
        ["clear", "--background", "#0f2d46"],
        np.stack(expected).astype(np.uint8),
        said=("transparency laid on the background (--background): 6 (clear/a.png, ",),
    )


def few_bits(place: Path) -> Case:
    """Greys of 4 bits of which one is transparent, on a colour."""
    (place / "few").mkdir()
    values = RNG.integers(0, 16, (6, 8)).astype(np.uint8)
    clear = chunk(b"tRNS", bytes([0, values[0, 0]]))
    (place / "few/a.png").write_bytes(png(values, GREY, clear, depth=4))
    hole = (values == values[0, 0])[..., np.newaxis]
    expected = np.where(hole, np.array([15, 45, 70], np.uint8), triple(values * np.uint8(17)))
    return pictures(["few", "--background", "#0f2d46"], expected[np.newaxis])


def one_grey(place: Path) -> Case:
    """Greys of 8 bits and of one, a palette and CMYK, among colours."""
    saved(place / "mixed/a.png", SHADE)
    saved(place / "mixed/b.png", COLOUR)
    bits = SHADE > 127
    Image.fromarray(SHADE).point(lambda v: 255 * (v > 127)).convert("1").save(place / "mixed/c.png")
    Image.fromarray(RNG.integers(0, 256, (6, 5, 4), np.uint8), "CMYK").save(place / "mixed/d.jpg")
    with Image.open(place / "mixed/d.jpg") as picture:
        ink = np.asarray(picture.convert("RGB"))
    expected = [triple(SHADE), COLOUR, triple(np.uint8(255) * bits), ink]
    return pictures(
        ["mixed"],
        np.stack(expected),
        said=("grey pictures among colours became colour (--grey: all grey): 2 (a.png, c.png)",),
    )


def large_metadata(place: Path) -> Case:
    """A colour profile and a text of some MiB, which Pillow alone refuses."""
    (place / "large").mkdir()
    profile = chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(3 * 2**20)))
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 3 * 2**20))
    (place / "large/a.png").write_bytes(png(COLOUR, RGB, profile, text, after=text))
    return pictures(["large"], COLOUR[np.newaxis])


ALL = (
    *(by_content, sixteen_bits, sixteen_bits_mapped, deep_colours, floats, whole_numbers),
    *(orientations, transparency, few_bits, one_grey, large_metadata),
)
CASES: dict[str, Callable[[Path], Case]] = {each.__name__: each for each in ALL}


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """Return all cases, converted."""
    return convert_all(tmp_path_factory.mktemp("pictures"), CASES)


@pytest.mark.parametrize("name", CASES)
def test_samples_are_what_other_programs_read(converted: Converted, name: str) -> None:
    converted.check(name)
