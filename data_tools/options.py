"""Options that several commands of ``hpcgan-data`` take, and how what they are given is read."""

from __future__ import annotations

import argparse
from typing import get_args

from data_tools.layout import Compression
from hpcgan.files import expanded


def add_files(parser: argparse.ArgumentParser) -> None:
    """Add the data files that a command reads."""
    parser.add_argument("files", nargs="+", type=expanded, metavar="FILE", help="HDF5 data files")
    parser.add_argument(
        "--images", default="images", metavar="NAME", help="dataset (default: images)"
    )
    parser.add_argument(
        "--labels", metavar="NAME", help="dataset (default: labels, if it is there)"
    )


def add_storage(parser: argparse.ArgumentParser) -> None:
    """Add the options of how a file is stored."""
    parser.add_argument(
        "--chunk", type=int, metavar="SAMPLES", help="samples a chunk (default: about 1 MiB)"
    )
    parser.add_argument(
        "--compression",
        choices=get_args(Compression),
        default="none",
        help="of the chunks (default: none)",
    )


def size(text: str) -> tuple[int, int]:
    """Return "28" or "28,32" as a height and a width."""
    sides = shape(text)
    if len(sides) > 2 or min(sides) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no size, such as 28 or 28,32")
    return sides[0], sides[-1]


def shape(text: str) -> tuple[int, ...]:
    """Return "28,28,1" as (28, 28, 1)."""
    try:
        return tuple(int(each) for each in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not whole numbers with commas between, such as 28,28,1"
        ) from None


def energies(text: str) -> tuple[float, float]:
    """Return "10,500" as two numbers."""
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not two numbers, such as 10,500") from None
    return low, high
