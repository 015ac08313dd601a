"""What the values of pictures are, and what pictures of several kinds become together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import ImageColor

from data_tools.conversion import Conversion
from hpcgan.errors import ConfigError, DataError

# What the values of a picture are: greys of 8 bits, of up to 16 bits (deep), whole numbers of 32
# bits, float32, or colours.
Kind = Literal["grey", "deep", "whole", "real", "colour"]
DTYPES = {"deep": "f4", "whole": "f8", "real": "f4"}  # of values that stay as they are


class Look(NamedTuple):
    """What a picture's header says.

    Attributes:
        kind: of its values; of transparent greys on a coloured background "colour".
        height: in pixels, of the upright picture.
        width: the same.
    """

    kind: Kind
    height: int
    width: int


@dataclass(frozen=True)
class Wanted:
    """What pictures become.

    Attributes:
        channels: 1 or 3.
        dtype: uint8, or that in which values stay as they are.
        background: colour below transparent pictures.
        size: height and width, or None for their own.
        crop: whether to cut the middle out of a picture of another ratio.
    """

    channels: int
    dtype: np.dtype[Any]
    background: tuple[int, int, int]
    size: tuple[int, int] | None
    crop: bool


def background(conversion: Conversion) -> tuple[int, int, int]:
    """Return the colour of ``--background``.

    Raises:
        ConfigError: there is no such colour.
    """
    try:
        red, green, blue = ImageColor.getrgb(conversion.background)[:3]
    except ValueError:
        raise ConfigError(
            f"--background {conversion.background}: is no colour; give a name such as black, or "
            "#rrggbb"
        ) from None
    return red, green, blue


def wanted(kinds: set[Kind], conversion: Conversion) -> Wanted:
    """Return what pictures of some kinds become together: colour wins, unless ``--grey``.

    Greys of 16 bits stay as they are if ``--values`` maps them; else they become 8 bits.

    Raises:
        ConfigError: the background is no colour.
        DataError: they cannot be together.
    """
    colour = background(conversion)
    kept = kinds & ({"whole", "real"} | ({"deep"} if conversion.values else set()))
    if not kept:
        channels = 3 if "colour" in kinds and not conversion.grey else 1
        dtype = np.dtype("u1")
    elif len(kinds) == 1:
        channels, dtype = 1, np.dtype(DTYPES[next(iter(kinds))])
    else:
        raise DataError("values of 8, 16 or 32 bits and floats are not of one scale")
    return Wanted(channels, dtype, colour, conversion.size, conversion.crop)
