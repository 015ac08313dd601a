"""TIFF files that Pillow reads as what they are not: they are refused."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image

_BITS, _PHOTOMETRIC, _PLANES, _FORMAT = 258, 262, 284, 339  # tags
_SIGNED, _APART = 2, 2  # values of the last two


def check(picture: Image.Image) -> None:
    """Refuse a TIFF whose values Pillow would get wrong.

    Raises:
        ValueError: the text says what is wrong with it.
    """
    tags: Any = getattr(picture, "tag_v2", {})
    tiles: Any = getattr(picture, "tile", [])
    decoder, raw = (tiles[0][0], str(tiles[0][3][0])) if tiles else ("", "")
    if picture.mode == "L" and _SIGNED in tags.get(_FORMAT, ()):
        raise ValueError("its values have a sign and 8 bits; save them as 16-bit or float32")
    if picture.mode[0] in "IF" and tags.get(_PHOTOMETRIC) == 0:
        raise ValueError("its white is 0, which is read of 8 bits only; save it with black as 0")
    if decoder == "libtiff" and raw in ("F;32BF", "I;32BS", "I;16BS"):  # swapped twice
        raise ValueError(
            "it is compressed with the highest bytes first, which Pillow reads of 8 bits and of 16 "
            "without a sign only; save it uncompressed or with the lowest bytes first"
        )
    is_apart = decoder != "libtiff" and tags.get(_PLANES) == _APART
    if is_apart and max(tags.get(_BITS, (1,))) > 8:
        raise ValueError("its channels of 16 bits are apart; save them pixel by pixel (contiguous)")
    there = sum((right - left) * (low - top) for _, (left, top, right, low), *_ in tiles)
    if there < picture.width * picture.height * (len(picture.getbands()) if is_apart else 1):
        raise ValueError("it is damaged: its strips or tiles are only part of it")


@contextmanager
def silent() -> Iterator[None]:
    """Have libtiff not write about damage to stderr: an error says it."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)
