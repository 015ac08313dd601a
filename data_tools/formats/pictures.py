"""Folders of PNG and JPEG files; the names of sub-folders are the classes."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from data_tools.account import Account
from data_tools.conversion import Conversion
from data_tools.formats import Format, Images, on_each_rank
from hpcgan.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg")

# Wanted height and width, whether to crop to their ratio first, and whether to drop the colours.
Size = tuple[int, int] | None


def _open_folder(conversion: Conversion, account: Account) -> Images:
    """Open a folder of pictures: all in it, or those in its sub-folders, a class each."""
    folder, size, crop, grey = (
        conversion.source,
        conversion.size,
        conversion.crop,
        conversion.grey,
    )
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes or ["."]):
        own = [p for p in (folder / name).iterdir() if p.suffix.lower() in SUFFIXES]
        files += sorted(own)
        labels += [label] * len(own)
    if not files:
        raise DataError(f"{folder}: there are no pictures in it or its folders (.png, .jpg, .jpeg)")
    first = decode(files[0].read_bytes(), str(files[0]), size, crop, grey)

    def read(run: range) -> np.ndarray:
        images = np.empty((len(run), *first.shape), np.uint8)
        for place, path in enumerate(files[run.start : run.stop]):
            try:
                picture = decode(path.read_bytes(), str(path), size, crop, grey)
            except OSError as error:
                raise DataError(f"{path}: not readable: {error.strerror}") from None
            check_shape(picture, first, str(path), str(files[0]))
            images[place] = picture
        return images

    return Images(
        str(folder),
        (len(files), *first.shape),
        np.dtype("u1"),
        read,
        labels=np.array(labels) if classes else None,
        classes=tuple(classes),
        layout="NHWC",
        names=[str(path.relative_to(folder)) for path in files],
    )


def decode(content: bytes, origin: str, size: Size, crop: bool, grey: bool) -> np.ndarray:
    """Return a PNG or JPEG file's pixels, uint8 (H, W, 1) or (H, W, 3).

    Raises:
        DataError: the content is no picture, or not all of one; ``origin`` names it.
    """
    try:
        with Image.open(BytesIO(content), formats=["PNG", "JPEG"]) as picture:
            is_grey = grey or picture.mode in ("1", "L", "LA", "I;16", "I", "F")
            pixels = picture.convert("L" if is_grey else "RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{origin}: not readable as a picture: {_short(error)}") from None
    except Image.DecompressionBombError as error:
        raise DataError(f"{origin}: too large a picture: {_short(error)}") from None
    if size is not None:
        pixels = _resized(pixels, size, crop)
    return np.atleast_3d(np.asarray(pixels))


def check_shape(picture: np.ndarray, first: np.ndarray, origin: str, other: str) -> None:
    """Refuse a picture that differs in shape from the first one."""
    if picture.shape == first.shape:
        return
    ways = "--grey" if picture.shape[:2] == first.shape[:2] else "--size"
    raise DataError(
        f"{origin}: has shape {picture.shape}, but {other} has {first.shape}; all must agree, "
        f"which {ways} can do"
    )


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


def _short(error: Exception) -> str:
    """Return an error's text without the object that it names."""
    return "it is neither PNG nor JPEG" if isinstance(error, UnidentifiedImageError) else str(error)


FOLDER = Format(
    "folder",
    Path.is_dir,
    on_each_rank(_open_folder),
    frozenset({"size", "crop", "grey", "background", "skip_broken"}),
)
