"""Options that several commands of ``hpcgan-data`` take, and how what they are given is read."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import get_args

from data_tools.calorimeter import CRITICAL_ENERGY
from data_tools.conversion import Axes, Split
from data_tools.convert import FORMATS
from data_tools.datasets import DATASETS
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


def add_conversion(parser: argparse.ArgumentParser) -> None:
    """Add the options of what a source is, and how its samples are read."""
    add = parser.add_argument
    add("--format", choices=tuple(FORMATS), help="of SOURCE (default: found out from it)")
    add(
        "--dataset",
        choices=tuple(DATASETS),
        help="sets --images, --labels, --shape and --values, where they are not given",
    )
    add("--images", metavar="NAME", help="of the samples, where a source holds several arrays")
    add(
        "--labels",
        metavar="NAME|FILE[:NAME]|none",
        help="their name in SOURCE, or a file of them (default: those that SOURCE has)",
    )
    add(
        "--layout",
        choices=get_args(Axes),
        help="order of the axes, where it is not plain; MATLAB: as a v7.3 file has them",
    )
    add(
        "--shape",
        type=shape("H,W", "D,H,W", "D,H,W,C"),
        metavar="D,H,W[,C]",
        help="of a sample that is flattened",
    )
    add(
        "--values",
        action="append",
        default=[],
        metavar="MAPPING",
        help="of the values to about [-1, 1], undone by hpcgan generate: scale:a,b (a x + b), "
        "log10:floor, symlog:linthresh, minmax or identity; several are applied in turn",
    )
    add("--size", type=size, metavar="H,W", help="scale pictures to this size")
    add("--crop", action="store_true", help="cut out a picture's middle where its ratio differs")
    add("--grey", action="store_true", help="one channel instead of three")
    add(
        "--background",
        default="white",
        metavar="COLOUR",
        help="below transparent pictures: a name or #rrggbb (default: white)",
    )
    add("--split", choices=get_args(Split), help="of sources with several (default: train)")
    add("--strict", action="store_true", help="what would be left out is an error")
    add(
        "--skip-broken",
        action="store_true",
        help="leave out what cannot be read, and list it in OUT.skipped.txt",
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
