"""The command line of ``hpcgan-data``: parse, call one function, turn errors into statuses.

``synthetic``, ``convert``, ``calorimeter``, ``verify`` and ``reshard`` may run under mpirun: then
all ranks share the work, and rank 0 alone prints. ``digits`` and ``inspect`` need no MPI.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from data_tools import (
    calorimeter,
    convert,
    describe,
    digits,
    options,
    reshard,
    synthetic,
    verify,
    writer,
)
from data_tools.conversion import Conversion
from hpcgan import command
from hpcgan.command import whole_number
from hpcgan.world import World

Commands = Any  # argparse's own type of what ``add_subparsers`` returns is private
Given = TypeVar("Given")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, by default of this process's arguments; return its exit status."""
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


def _add(
    commands: Commands, name: str, text: str, run: Callable[..., None], needs_ranks: bool = True
) -> command.Parser:
    """Add a command and return its parser."""
    parser: command.Parser = commands.add_parser(
        name, help=text, description=text, allow_abbrev=False
    )
    parser.set_defaults(run=run, needs_ranks=needs_ranks)
    return parser


def _add_out(parser: command.Parser) -> None:
    parser.add_argument("out", type=Path, metavar="OUT.h5", help="the file; replaced if it exists")


def _filled(kind: type[Given], arguments: argparse.Namespace) -> Given:
    """Return a dataclass with the options of its fields' names."""
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: getattr(arguments, name) for name in names})


def _print(world: World, *lines: str) -> None:
    """Print lines on rank 0."""
    if world.is_root:
        print(*lines, sep="\n", flush=True)


def _add_digits(commands: Commands) -> None:
    text = "write scikit-learn's 1,797 real handwritten digits, laid out as MNIST's are"
    parser = _add(commands, "digits", text, _digits, needs_ranks=False)
    _add_out(parser)
    parser.add_argument(
        "--size",
        type=whole_number(digits.SMALLEST, digits.LARGEST),
        default=28,
        help=f"pixels per side, {digits.SMALLEST} to {digits.LARGEST} (default: 28)",
    )
    parser.add_argument(
        "--held-out",
        type=float,
        metavar="FRACTION",
        help="put this part of each class into OUT-held-out.h5 and leave it out of OUT.h5",
    )
    options.add_seed(parser, "the choice of the samples held out")


def _digits(given: argparse.Namespace) -> None:
    lines = digits.write(given.out, given.size, given.held_out, given.seed)
    print(*lines, sep="\n", flush=True)


def _write(
    kind: type[synthetic.Noise] | type[calorimeter.Showers],
    world: World,
    arguments: argparse.Namespace,
) -> None:
    """Run a command that makes its samples itself."""
    made = _filled(kind, arguments)
    layout = world.all_or_raise(lambda: made.layout)
    _print(world, writer.write(arguments.out, layout, made.content, world))


def _add_synthetic(commands: Commands) -> None:
    text = "write noise of any shape and number, with all ranks of an mpirun, for benchmarks"
    parser = _add(commands, "synthetic", text, partial(_write, synthetic.Noise))
    _add_out(parser)
    parser.add_argument("--samples", type=whole_number(1), required=True, help="number of samples")
    parser.add_argument(
        "--shape",
        type=options.shape("H,W,C", "D,H,W,C"),
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
        "--classes",
        type=whole_number(1, 2**31 - 1),
        metavar="K",
        help="add labels, uniform in 0 .. K - 1",
    )
    options.add_chunk(parser)
    options.add_seed(parser, "the noise")


def _add_convert(commands: Commands) -> None:
    text = "write what others keep images in as HDF5, with all ranks of an mpirun"
    parser = _add(commands, "convert", text, _convert)
    parser.add_argument("source", type=Path, metavar="SOURCE", help="a file or folder")
    _add_out(parser)
    options.add_conversion(parser)
    options.add_storage(parser)


def _convert(world: World, arguments: argparse.Namespace) -> None:
    conversion = _filled(Conversion, arguments)
    _print(world, *convert.convert(arguments.out, conversion, world))


def _add_calorimeter(commands: Commands) -> None:
    text = (
        "write particle showers in a calorimeter, with the particles' energies as labels, with all "
        "ranks of an mpirun"
    )
    parser = _add(commands, "calorimeter", text, partial(_write, calorimeter.Showers))
    _add_out(parser)
    parser.add_argument("--count", type=whole_number(1), required=True, metavar="N", help="showers")
    parser.add_argument(
        "--shape",
        type=options.shape("D,H,W"),
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
    options.add_seed(parser, "the showers")
    options.add_storage(parser)


def _add_inspect(commands: Commands) -> None:
    text = "show what data files hold: shapes, chunks, compression, values, labels"
    parser = _add(commands, "inspect", text, _inspect, needs_ranks=False)
    options.add_files(parser)
    parser.add_argument(
        "--preview", type=Path, metavar="OUT.png", help="draw the first file's first 64 samples"
    )


def _inspect(given: argparse.Namespace) -> None:
    lines = [describe.describe(path, given.images, given.labels) for path in given.files]
    if given.preview:
        describe.draw(given.files[0], given.images, given.preview)
    print(*lines, sep="\n", flush=True)


def _add_verify(commands: Commands) -> None:
    text = (
        "read every chunk of data files and list what is wrong with them; the status is 1 if "
        "anything is. The ranks of an mpirun share the files"
    )
    options.add_files(_add(commands, "verify", text, _verify))


def _verify(world: World, arguments: argparse.Namespace) -> None:
    verify.verify(world, arguments.files, arguments.images, arguments.labels)


def _add_reshard(commands: Commands) -> None:
    text = (
        "merge or split data files, with other chunks or compression, or shuffled, with all ranks "
        "of an mpirun"
    )
    parser = _add(commands, "reshard", text, _reshard)
    options.add_files(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="PATH.h5", help="the file")
    parser.add_argument(
        "--parts",
        type=whole_number(1),
        default=1,
        metavar="K",
        help="write K files, PATH-0000.h5 and so on, of equal size but for one sample",
    )
    parser.add_argument("--shuffle", action="store_true", help="put all samples in random order")
    options.add_seed(parser, "that order")
    options.add_storage(parser)


def _reshard(world: World, arguments: argparse.Namespace) -> None:
    _print(world, *reshard.reshard(world, _filled(reshard.Resharding, arguments)))
