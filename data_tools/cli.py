"""The command line of ``hpcgan-data``: parse, call one function, turn errors into statuses.

Every command may run under mpirun: then rank 0 alone prints, and files are written by all ranks
(but for the small ones of ``digits``).
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from data_tools import convert, digits, synthetic, writer
from hpcgan import command
from hpcgan.world import World


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the words after the program's name; None for those of this process.

    Returns:
        The exit status: 0, or that of the user error, whose one line went to stderr.
    """
    return command.run("hpcgan-data", lambda: _parser().parse_args(argv))


def _parser() -> command.Parser:
    """Return the parser of all commands; each sets ``run``, to be called with a world."""
    parser = command.Parser(
        prog="hpcgan-data", description="Make HDF5 files to train on.", allow_abbrev=False
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_digits(commands)
    _add_synthetic(commands)
    _add_convert(commands)
    return parser


def _add_digits(commands: argparse._SubParsersAction[command.Parser]) -> None:
    """Add the command ``digits``."""
    text = "write scikit-learn's 1,797 real handwritten digits, laid out as MNIST's are"
    parser = commands.add_parser("digits", help=text, description=text, allow_abbrev=False)
    parser.add_argument("out", type=Path, metavar="OUT.h5", help="the file; replaced if it exists")
    parser.add_argument(
        "--size",
        type=int,
        default=28,
        help=f"pixels a side, {digits.SMALLEST} to {digits.LARGEST} (default: 28)",
    )
    parser.add_argument(
        "--held-out",
        type=float,
        metavar="FRACTION",
        help="put this part of each class into OUT-held-out.h5 and leave it out of OUT.h5",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="chooses the samples held out (default: 0)"
    )
    parser.set_defaults(run=_digits)


def _digits(world: World, arguments: argparse.Namespace) -> None:
    """Run the command ``digits``."""
    given = arguments
    lines = world.on_root(lambda: digits.write(given.out, given.size, given.held_out, given.seed))
    if world.is_root:
        print(*lines, sep="\n", flush=True)


def _add_synthetic(commands: argparse._SubParsersAction[command.Parser]) -> None:
    """Add the command ``synthetic``."""
    text = "write noise of any shape and number, with all ranks of an mpirun, for benchmarks"
    parser = commands.add_parser("synthetic", help=text, description=text, allow_abbrev=False)
    parser.add_argument("out", type=Path, metavar="OUT.h5", help="the file; replaced if it exists")
    parser.add_argument("--samples", type=int, required=True, help="number of samples")
    parser.add_argument(
        "--shape", type=_shape, required=True, help="of a sample: H,W,C or D,H,W,C, as in 28,28,1"
    )
    parser.add_argument(
        "--dtype",
        choices=("uint8", "float32"),
        default="uint8",
        help="uniform uint8, or normal float32 clipped to [-1, 1] (default: uint8)",
    )
    parser.add_argument(
        "--classes", type=int, metavar="K", help="add labels, uniform in 0 .. K - 1"
    )
    parser.add_argument(
        "--chunk", type=int, metavar="SAMPLES", help="samples a chunk (default: about 1 MiB)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the noise (default: 0)")
    parser.set_defaults(run=_synthetic)


def _synthetic(world: World, arguments: argparse.Namespace) -> None:
    """Run the command ``synthetic``."""
    noise = world.together(
        lambda: synthetic.Noise(
            samples=arguments.samples,
            shape=arguments.shape,
            dtype=arguments.dtype,
            classes=arguments.classes,
            chunk=arguments.chunk,
            seed=arguments.seed,
        )
    )
    line = synthetic.write(arguments.out, noise, world)
    if world.is_root:
        print(line, flush=True)


def _add_convert(commands: argparse._SubParsersAction[command.Parser]) -> None:
    """Add the command ``convert``."""
    text = (
        "write what others keep images in as HDF5, with all ranks of an mpirun: a folder of PNG or "
        "JPEG (a class a sub-folder), IDX (MNIST), CIFAR-10 binary, .npy, .npz, TFRecord, HDF5"
    )
    parser = commands.add_parser("convert", help=text, description=text, allow_abbrev=False)
    parser.add_argument("source", type=Path, metavar="SOURCE", help="a file or folder")
    parser.add_argument("out", type=Path, metavar="OUT.h5", help="the file; replaced if it exists")
    parser.add_argument(
        "--format", choices=convert.FORMATS, help="of SOURCE (default: found out from it)"
    )
    parser.add_argument(
        "--images", default="images", metavar="NAME", help="in .npz and HDF5 (default: images)"
    )
    parser.add_argument(
        "--labels", metavar="NAME", help="in .npz and HDF5; for IDX and .npy, the labels' file"
    )
    parser.add_argument("--size", type=_size, metavar="H,W", help="scale pictures to this size")
    parser.add_argument(
        "--crop", action="store_true", help="cut out a picture's middle where its ratio differs"
    )
    parser.add_argument("--grey", action="store_true", help="one channel instead of three")
    _add_storage(parser)
    parser.set_defaults(run=_convert)


def _convert(world: World, arguments: argparse.Namespace) -> None:
    """Run the command ``convert``."""
    names = [field.name for field in dataclasses.fields(convert.Conversion)]
    conversion = convert.Conversion(**{name: getattr(arguments, name) for name in names})
    line = convert.convert(arguments.out, conversion, world)
    if world.is_root:
        print(line, flush=True)


def _add_storage(parser: argparse.ArgumentParser) -> None:
    """Add the options of how a file is stored."""
    parser.add_argument(
        "--chunk", type=int, metavar="SAMPLES", help="samples a chunk (default: about 1 MiB)"
    )
    parser.add_argument(
        "--compression",
        choices=get_args(writer.Compression),
        default="none",
        help="of the chunks (default: none)",
    )


def _size(text: str) -> tuple[int, int]:
    """Return "28" or "28,32" as a height and a width."""
    shape = _shape(text)
    if len(shape) > 2 or min(shape) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no size, such as 28 or 28,32")
    return shape[0], shape[-1]


def _shape(text: str) -> tuple[int, ...]:
    """Return "28,28,1" as (28, 28, 1)."""
    try:
        return tuple(int(each) for each in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not whole numbers with commas between, such as 28,28,1"
        ) from None
