"""One picture: what its header says, and its pixels. Pillow reads both.

A picture is known by what is in it, not by the suffix of its name. Pillow is asked for a few
formats alone: some of the others run other programs.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from io import BytesIO
from typing import IO, Any

import numpy as np
from PIL import ExifTags, Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from data_tools.account import Account
from data_tools.formats import tiff
from data_tools.formats.picture_kinds import DTYPES, Kind, Look, Wanted
from hpcgan.errors import DataError

FORMATS = "PNG, JPEG, WebP, BMP, TIFF, GIF, PPM"
_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".gif"),
    *(".ppm", ".pgm", ".pbm"),
)

# How files of Pillow's formats begin.
_BEGINNINGS = re.compile(
    rb"(?P<PNG>\x89PNG\r\n\x1a\n)|(?P<JPEG>\xff\xd8\xff)|(?P<WEBP>RIFF.{4}WEBP)|(?P<GIF>GIF8[79]a)"
    rb"|(?P<TIFF>II[*+]\0|MM\0[*+])|(?P<BMP>BM.{4}\0{4})|(?P<PPM>P[1-6f]\s)",
    re.DOTALL,
)
HEAD = 16  # bytes in which these are

# What Pillow logs about damage is not printed, unless someone asks for it: an error says it.
logging.getLogger("PIL").addHandler(logging.NullHandler())

# Bytes of a colour profile or text in a PNG, unpacked: far beyond any that are honest.
_MOST_TEXT = 2**26


def look(
    file: IO[bytes], origin: str, colour: tuple[int, int, int], whole: bool = False
) -> Look | None:
    """Return what a picture's header says; None if the file is no picture.

    Args:
        file: of which only the header is read.
        origin: what begins messages, ending in the file's name.
        colour: of the background.
        whole: whether to decode the picture, as a check.

    Raises:
        DataError: it is a damaged picture.
    """
    if not (_format(file) or origin.lower().endswith(_SUFFIXES)):
        return None
    with _opened(file, origin) as picture:
        kind = _kind(picture, colour)
        width, height = picture.size
        # Pillow has turned the size of a TIFF already.
        if picture.format != "TIFF" and _orientation(picture) >= 5:
            width, height = height, width
        if whole:
            picture.load()
            if kind in ("grey", "colour"):
                picture.convert("RGB")
    return Look(kind, height, width)


def is_picture(content: bytes) -> bool:
    """Return whether content begins as a picture does."""
    return _BEGINNINGS.match(content[:HEAD]) is not None


def decode(content: bytes, origin: str, become: Wanted, account: Account) -> np.ndarray:
    """Return a picture's pixels, (H, W, channels), and note what was done to it.

    Raises:
        DataError: the content is no picture, not all of one, or not of the kind that is wanted;
            ``origin`` names it.
    """
    with _opened(BytesIO(content), origin) as picture:
        raw, kind = _raw_mode(picture), _kind(picture, become.background)
        if getattr(picture, "is_animated", False):
            account.note("the first of several pictures in a file taken", origin)
        # Pillow turns a TIFF while it loads it; of other formats it may find out only then.
        turned = picture.format == "TIFF" and _orientation(picture) != 1
        picture.load()
        if _orientation(picture) != 1:
            picture, turned = _upright(picture), True
        if turned:
            account.note("turned upright, as EXIF says", origin)
        if become.dtype != np.uint8:
            if kind not in DTYPES:
                raise ValueError("it has values of 8 bits, unlike the others")
            return _values(picture, raw, become)
        if kind in ("whole", "real"):
            raise ValueError("its values are no greys of 8 or 16 bits, unlike those of the others")
        picture = _of_eight_bits(picture, raw, origin, account)
        if picture.has_transparency_data:
            picture = _opaque(picture, raw, become.background)
            account.note("transparency laid on the background (--background)", origin)
        mode = "L" if become.channels == 1 else "RGB"
        if picture.mode != mode:
            picture = picture.convert(mode)
        if become.size is not None:
            picture = _resized(picture, become.size, become.crop)
        pixels = np.asarray(picture)
    return pixels[..., np.newaxis] if pixels.ndim == 2 else pixels


def check_shape(picture: np.ndarray, shape: tuple[int, ...], origin: str) -> None:
    """Refuse a picture that differs in shape from the first one."""
    if picture.shape != shape:
        raise DataError(
            f"{origin}: has shape {picture.shape}, but those before it have {shape}; all must "
            "agree, as --size makes them"
        )


def _format(file: IO[bytes]) -> str | None:
    """Return Pillow's name of a file's format, by how it begins; None if it is no picture."""
    found = _BEGINNINGS.match(file.read(HEAD))
    file.seek(0)
    return found.lastgroup if found else None


@contextmanager
def _opened(file: IO[bytes], origin: str) -> Iterator[Image.Image]:
    """Give a picture of which the header is read; whatever damage raises becomes a DataError."""
    kind = _format(file)
    limits = PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = _MOST_TEXT
    try:
        if kind is None:
            raise ValueError(f"it is none of {FORMATS}")
        with (
            tiff.silent() if kind == "TIFF" else nullcontext(),
            Image.open(file, formats=(kind,)) as picture,
        ):
            if kind == "TIFF":
                tiff.check(picture)
            yield picture
    except Exception as error:  # damage has Pillow raise nearly anything
        why = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, UnidentifiedImageError):  # whose text has an address in it
            why = f"it is a damaged {kind}, or one of a sort that Pillow does not read"
        elif isinstance(error, Image.DecompressionBombError):
            why = f"it is too large: {why}"
        raise DataError(
            f"{origin}: not readable as a picture: {why}; --skip-broken leaves such files out"
        ) from None
    finally:
        PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY = limits


def _raw_mode(picture: Image.Image) -> str:
    """Return how values are packed in the file, as Pillow calls it; "" where it does not say."""
    tiles: Any = getattr(picture, "tile", None)
    arguments = tiles[0][3] if tiles else ""
    return str(arguments[0] if arguments and isinstance(arguments, tuple) else arguments)


def _kind(picture: Image.Image, colour: tuple[int, int, int]) -> Kind:
    """Return what a picture's values are; 16 bits with transparency count as 8."""
    mode = picture.mode
    if mode == "RGB" or mode == "F":
        return "colour" if mode == "RGB" else "real"
    if mode == "I" and picture.format == "TIFF":  # other formats have up to 16 bits
        return "whole"
    is_transparent = picture.has_transparency_data
    if mode.startswith("I") and not is_transparent:
        return "deep"
    is_grey = mode in ("1", "L", "LA", "La") or mode[0] == "I" or _raw_mode(picture)[:3] == "LA;"
    return "grey" if is_grey and (not is_transparent or len(set(colour)) == 1) else "colour"


def _orientation(picture: Image.Image) -> int:
    """Return EXIF's number of how a picture lies, 1 if it is upright or EXIF cannot be read."""
    sources = ("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp")
    if picture.format != "TIFF" and not any(each in picture.info for each in sources):
        return 1
    try:
        found = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damage; it says nothing of the pixels
        return 1
    return found if found in range(1, 9) else 1


def _upright(picture: Image.Image) -> Image.Image:
    """Return a picture turned as EXIF says."""
    for each in ("exif", "Raw profile type exif"):  # read by now; else they are written anew
        picture.info.pop(each, None)
    return ImageOps.exif_transpose(picture)


def _values(picture: Image.Image, raw: str, become: Wanted) -> np.ndarray:
    """Return the values as they are, (H, W, 1)."""
    values = np.asarray(picture)
    if raw == "I;32N":  # TIFF's unsigned numbers, which Pillow takes for signed ones
        values = values.view(np.uint32)
    if become.size is not None:
        floats = Image.fromarray(values.astype(np.float32))
        values = np.asarray(_resized(floats, become.size, become.crop))
    return values.astype(become.dtype)[..., np.newaxis]


def _of_eight_bits(picture: Image.Image, raw: str, origin: str, account: Account) -> Image.Image:
    """Return a picture whose values have 8 bits."""
    if picture.mode.startswith("I"):
        account.note("greys of 16 bits scaled to 8 (--values keeps all)", origin)
        top = 4095 if raw == "I;12" else 65535
        values = np.asarray(picture).astype(np.uint32)
        made = Image.fromarray(((values * 255 + top // 2) // top).astype(np.uint8))
        if "transparency" in picture.info:
            opaque = values != picture.info["transparency"]
            made.putalpha(Image.fromarray(opaque.astype(np.uint8) * np.uint8(255)))
        return made
    if ";16" in raw:
        account.note("colours of 16 bits cut to the upper 8", origin)
    return picture


def _opaque(picture: Image.Image, raw: str, colour: tuple[int, int, int]) -> Image.Image:
    """Return a picture on a background."""
    clear = picture.info.get("transparency")
    if raw in ("L;2", "L;4") and clear is not None:  # Pillow scales the greys, but not this one
        picture.info["transparency"] = clear * (85 if raw == "L;2" else 17)
    elif raw == "RGB;16B" and clear is not None:
        picture.info["transparency"] = tuple(each >> 8 for each in clear)
    if picture.mode == "La":  # which Pillow converts to RGBA without its transparency
        picture = picture.convert("LA")
    below = Image.new("RGBA", picture.size, colour)
    return Image.alpha_composite(below, picture.convert("RGBA"))


def _resized(picture: Image.Image, size: tuple[int, int], crop: bool) -> Image.Image:
    """Return a picture in another size, all of it or its middle."""
    height, width = size
    box: tuple[float, float, float, float] | None = None
    if crop:
        scale = min(picture.width / width, picture.height / height)
        left = (picture.width - scale * width) / 2
        top = (picture.height - scale * height) / 2
        box = (left, top, left + scale * width, top + scale * height)
    return picture.resize((width, height), Image.Resampling.LANCZOS, box=box)
