"""The command line of ``hpcgan-data``: parse, call one function, turn errors into statuses.

``synthetic``, ``convert``, ``calorimeter``, ``verify`` and ``reshard`` may run under mpirun: then
all ranks share the work, and rank 0 alone prints. ``digits`` and ``inspect`` need no MPI.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from data_tools import (
    calorimeter,
    convert,
    describe,
    digits,
    options,
    reshard,
    synthetic,
    verify,
)
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
    _add_calorimeter(commands)
    _add_inspect(commands)
    _add_verify(commands)
    _add_reshard(commands)
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
    parser.set_defaults(run=_digits, needs_ranks=False)


def _digits(arguments: argparse.Namespace) -> None:
    """Run the command ``digits``."""
    given = arguments
    lines = digits.write(given.out, given.size, given.held_out, given.seed)
    print(*lines, sep="\n", flush=True)


def _add_synthetic(commands: argparse._SubParsersAction[command.Parser]) -> None:
    """Add the command ``synthetic``."""
    text = "write noise of any shape and number, with all ranks of an mpirun, for benchmarks"
    parser = commands.add_parser("synthetic", help=text, description=text, allow_abbrev=False)
    parser.add_argument("out", type=Path, metavar="OUT.h5", help="the file; replaced if it exists")
    parser.add_argument("--samples", type=int, required=True, help="number of samples")
    parser.add_argument(
        "--shape",
        type=options.shape,
        required=True,
        help="of a sample: H,W,C or D,H,W,C, as in 28,28,1",
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
    parser.add_argument("--images", metavar="NAME", help="in .npz and HDF5 (default: images)")
    parser.add_argument(
        "--labels", metavar="NAME", help="in .npz and HDF5; for IDX and .npy, the labels' file"
    )
    parser.add_argument(
        "--size", type=options.size, metavar="H,W", help="scale pictures to this size"
    )
    parser.add_argument(
        "--crop", action="store_true", help="cut out a picture's middle where its ratio differs"
    )
    parser.add_argument("--grey", action="store_true", help="one channel instead of three")
    options.add_storage(parser)
    parser.set_defaults(run=_convert)


def _convert(world: World, arguments: argparse.Namespace) -> None:
    """Run the command ``convert``."""
    names = [field.name for field in dataclasses.fields(convert.Conversion)]
    conversion = convert.Conversion(**{name: getattr(arguments, name) for name in names})
    line = convert.convert(arguments.out, conversion, world)
    if world.is_root:
        print(line, flush=True)


def _add_calorimeter(commands: argparse._SubParsersAction[command.Parser]) -> None:
    """Add the command ``calorimeter``."""
    text = (
        "write particle showers in a calorimeter, with the particles' energies as labels, with all "
        "ranks of an mpirun"
    )
    parser = commands.add_parser("calorimeter", help=text, description=text, allow_abbrev=False)
    parser.add_argument("out", type=Path, metavar="OUT.h5", help="the file; replaced if it exists")
    parser.add_argument("--count", type=int, required=True, metavar="N", help="showers")
    parser.add_argument(
        "--shape",
        type=options.shape,
        default=(25, 25, 25),
        metavar="D,H,W",
        help="default: 25,25,25",
    )
    parser.add_argument(
        "--energies",
        type=options.energies,
        default=calorimeter.ENERGIES,
        metavar="LOW,HIGH",
        help="of the particles in GeV (default: 10,500)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the showers (default: 0)")
    options.add_storage(parser)
    parser.set_defaults(run=_calorimeter)


def _calorimeter(world: World, arguments: argparse.Namespace) -> None:
    """Run the command ``calorimeter``."""
    names = [field.name for field in dataclasses.fields(calorimeter.Showers)]
    given = {name: getattr(arguments, name) for name in names}
    showers = world.together(lambda: calorimeter.Showers(**given))
    line = calorimeter.write(arguments.out, showers, world)
    if world.is_root:
        print(line, flush=True)


def _add_inspect(commands: argparse._SubParsersAction[command.Parser]) -> None:
    """Add the command ``inspect``."""
    text = "tell what data files hold: shapes, chunks, compression, values, labels"
    parser = commands.add_parser("inspect", help=text, description=text, allow_abbrev=False)
    options.add_files(parser)
    parser.add_argument(
        "--preview", type=Path, metavar="OUT.png", help="draw the first file's first 64 samples"
    )
    parser.set_defaults(run=_inspect, needs_ranks=False)


def _inspect(arguments: argparse.Namespace) -> None:
    """Run the command ``inspect``."""
    given = arguments
    lines = [describe.describe(path, given.images, given.labels) for path in given.files]
    if given.preview:
        describe.draw(given.files[0], given.images, given.preview)
    print(*lines, sep="\n", flush=True)


def _add_verify(commands: argparse._SubParsersAction[command.Parser]) -> None:
    """Add the command ``verify``."""
    text = (
        "read every chunk of data files and list what is wrong with them; the status is 1 if "
        "anything is. The ranks of an mpirun share the files"
    )
    parser = commands.add_parser("verify", help=text, description=text, allow_abbrev=False)
    options.add_files(parser)
    parser.set_defaults(run=_verify)


def _verify(world: World, arguments: argparse.Namespace) -> None:
    """Run the command ``verify``."""
    verify.verify(world, arguments.files, arguments.images, arguments.labels)


def _add_reshard(commands: argparse._SubParsersAction[command.Parser]) -> None:
    """Add the command ``reshard``."""
    text = (
        "merge or split data files, with other chunks or compression, or shuffled, with all ranks "
        "of an mpirun"
    )
    parser = commands.add_parser("reshard", help=text, description=text, allow_abbrev=False)
    options.add_files(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="PATH.h5", help="the file")
    parser.add_argument(
        "--parts",
        type=int,
        default=1,
        metavar="K",
        help="write K files, PATH-0000.h5 and so on, of equal size but for one sample",
    )
    parser.add_argument("--shuffle", action="store_true", help="put all samples in random order")
    parser.add_argument("--seed", type=int, default=0, help="of that order (default: 0)")
    options.add_storage(parser)
    parser.set_defaults(run=_reshard)


def _reshard(world: World, arguments: argparse.Namespace) -> None:
    """Run the command ``reshard``."""
    names = [field.name for field in dataclasses.fields(reshard.Resharding)]
    given = {name: getattr(arguments, name) for name in names}
    lines = reshard.reshard(world, reshard.Resharding(**given))
    if world.is_root:
        print(*lines, sep="\n", flush=True)
