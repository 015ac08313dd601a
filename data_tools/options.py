"""Options that several commands of ``hpcgan-data`` take, and how what they are given is read."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import get_args

from data_tools.calorimeter import CRITICAL_ENERGY
from data_tools.layout import Compression
from hpcgan.command import whole_number
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


def add_chunk(parser: argparse.ArgumentParser) -> None:
    """Add the option of how many samples are stored together."""
    parser.add_argument(
        "--chunk",
        type=whole_number(1),
        metavar="SAMPLES",
        help="samples per chunk (default: about 1 MiB)",
    )


def add_storage(parser: argparse.ArgumentParser) -> None:
    """Add the options of how a file is stored."""
    add_chunk(parser)
    parser.add_argument(
        "--compression",
        choices=get_args(Compression),
        default="none",
        help="of the chunks (default: none)",
    )


def add_seed(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the seed of something."""
    parser.add_argument(
        "--seed", type=whole_number(0, 2**64 - 1), default=0, help=f"of {what} (default: 0)"
    )


def shape(*forms: str) -> Callable[[str], tuple[int, ...]]:
    """Return the type of an option that is a shape of one of some forms, such as "H,W,C"."""

    def read(text: str) -> tuple[int, ...]:
        try:
            sides = tuple(int(each) for each in text.split(","))
        except ValueError:
            sides = ()
        if len(sides) not in [len(form.split(",")) for form in forms] or min(sides) < 1:
            raise argparse.ArgumentTypeError(
                f"'{text}' is not {' or '.join(forms)}, whole numbers from 1"
            )
        return sides

    return read


def size(text: str) -> tuple[int, int]:
    """Return "28" or "28,32" as a height and a width."""
    sides = shape("H", "H,W")(text)
    return sides[0], sides[-1]


def energies(text: str) -> tuple[float, float]:
    """Return "10,500" as two energies in GeV."""
    least = 10 * CRITICAL_ENERGY
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        low, high = 1.0, 0.0
    if not least <= low <= high < 1e6:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not two energies in GeV, such as 10,500: the lower first, from {least:g} "
            "to below 1000000"
        )
    return low, high
