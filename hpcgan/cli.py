"""The commands of ``hpcgan``: each parses its arguments and calls one function."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hpcgan import __version__, command, describe, submit
from hpcgan.comparing import commands as comparing
from hpcgan.config import Config
from hpcgan.doctor import commands as doctor
from hpcgan.errors import ConfigError
from hpcgan.evaluation import evaluate_command as evaluate
from hpcgan.evaluation.features import commands as features
from hpcgan.export import commands as export
from hpcgan.generation import form
from hpcgan.generation.form import Output
from hpcgan.generation.sampler import Wanted
from hpcgan.scaling import commands as scaling
from hpcgan.world import World


def main() -> int:
    """Run the command that the command line names and return its exit status."""
    return command.run("hpcgan", lambda: _parse(sys.argv[1:]))


def _train(world: World, arguments: argparse.Namespace) -> int:
    from hpcgan.training import directory, plan, restarts

    given = arguments
    config, run_dir = plan.configure(world, given.config, given.overrides, given.run_dir)
    if restarts.is_wanted(config):
        return restarts.supervise(world, config.run.restarts, run_dir)
    if config.parallel.population > 1:
        return _train_population(world, config, run_dir, given)
    with directory.held(world, config, run_dir, given.resume, given.allow_change) as run:
        if run.is_finished:
            if world.is_root:
                print(f"hpcgan: {run_dir}: finished already: {run.found and run.found.path}")
            return 0
        from hpcgan.devices import prepare_tensorflow
        from hpcgan.training.stop import Request

        request = Request(config.run.time_limit)
        with request.listening():  # the import of TensorFlow is long, and signals come any time
            world.all_or_raise(lambda: prepare_tensorflow(world))
            from hpcgan.training import run as training

            training.train(world, run, request, given.timeline)
    return 0


def _train_population(
    world: World, config: Config, run_dir: Path, given: argparse.Namespace
) -> int:
    from hpcgan.training import population
    from hpcgan.training.stop import Request

    if given.timeline:
        raise ConfigError("--timeline is of one run, and a population has several", True)
    request = Request(config.run.time_limit)
    with request.listening():
        population.train(world, config, run_dir, given.resume, given.allow_change, request)
    return 0


def _generate(world: World, arguments: argparse.Namespace) -> None:
    from hpcgan import ensemble, generate
    from hpcgan.training.stop import Request

    given = arguments
    own = (given.count, given.seed, given.label, given.draw, given.trust_networks, given.labels)
    how = (given.layout, given.part_size, given.threshold, given.compression, given.overwrite)
    make = ensemble.generate if given.ensemble else generate.generate
    request = Request(None)
    with request.listening():
        make(world, given.checkpoint, Wanted(*own), Output(given.out, *how), request)


def _parse(words: list[str]) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = command.Parser("hpcgan", description="Train GANs in parallel on HDF5 data.")
    parser.add_argument("--version", action="version", version=f"hpcgan {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = _run_options()
    train = commands.add_parser(
        "train",
        parents=[run],
        help="train a GAN, or resume a run",
        usage="hpcgan train CONFIG.yaml [--section.key VALUE ...] [--run-dir DIR] "
        "[--resume auto|never|PATH] [--allow-change] [--timeline]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_keys_help() if "train" in words and {"-h", "--help"} & set(words) else None,
        allow_abbrev=False,
    )
    train.set_defaults(run=_train, takes_keys=True, prints_little=True)
    generate = commands.add_parser("generate", help="write samples of a checkpoint's generator")
    generate.add_argument(
        "checkpoint",
        type=Path,
        metavar="CHECKPOINT|RUN_DIR",
        help="a checkpoint, or a run directory, of which the newest one is taken",
    )
    generate.add_argument("--count", type=int, required=True, metavar="N")
    generate.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR|FILE.h5|.npz|.png|.root",
        help="a directory of parts, which the same command goes on with if it was stopped; or one "
        "file",
    )
    generate.add_argument(
        "--part-size",
        type=int,
        metavar="M",
        help="samples of a part, a multiple of 256 (default: about 256 MiB)",
    )
    generate.add_argument(
        "--overwrite", action="store_true", help="replace parts of other samples in DIR"
    )
    generate.add_argument("--seed", type=int, default=0, metavar="S")
    generate.add_argument(
        "--label",
        metavar="Y",
        help="label of all samples: a class by its name or number, a value, or K values A,B,... "
        "(default: classes in turn, or values in the data's range)",
    )
    generate.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="the label of each sample: dataset 'labels' of an HDF5 file, or a line each of a .txt",
    )
    generate.add_argument(
        "--draw",
        choices=("turn", "data"),
        default="turn",
        help="classes in turn (default), or each as often as in the data",
    )
    generate.add_argument(
        "--layout",
        choices=form.LAYOUTS,
        help="hpcgan, a data file to train on (default); another order of the axes, of which flat "
        "is a single one; calochallenge: incident_energies and showers; root: a TTree",
    )
    generate.add_argument(
        "--threshold",
        type=float,
        metavar="E",
        help="write values below E, in the units of the output, as 0",
    )
    generate.add_argument("--compression", choices=form.COMPRESSIONS, default="none")
    generate.add_argument(
        "--ensemble",
        action="store_true",
        help="samples of all members of the population RUN_DIR, in the proportions in which they "
        "are nearest to held-out data",
    )
    generate.add_argument(
        "--trust-networks",
        action="store_true",
        help="run the functions that the checkpoint names for its networks",
    )
    generate.set_defaults(run=_generate, prints_little=True)
    describe.add(commands)
    export.add(commands)
    evaluate.add(commands)
    features.add(commands)
    scaling.add(commands)
    comparing.add(commands)
    doctor.add(commands)
    submit.add(commands, run)
    arguments, rest = parser.parse_known_args(words)
    if rest and not getattr(arguments, "takes_keys", False):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.overrides = rest
    return arguments


def _run_options() -> command.Parser:
    """Return a parser of the options of a run, which ``train`` and ``submit`` share."""
    run = command.Parser(add_help=False)
    run.add_argument("config", metavar="CONFIG.yaml", help="the run's configuration")
    run.add_argument("--run-dir", type=Path, metavar="DIR", help="default: runs/NAME")
    run.add_argument(
        "--resume",
        default="auto",
        metavar="auto|never|PATH",
        help="resume from the newest whole checkpoint of the run directory if there is one "
        "(default); start again and set an earlier run aside; or resume from a checkpoint",
    )
    run.add_argument(
        "--allow-change",
        action="store_true",
        help="resume with other learning rates or data files than the checkpoint's",
    )
    run.add_argument(
        "--timeline",
        action="store_true",
        help="write RUN_DIR/timeline.json, what each rank did when, for chrome://tracing or "
        "Perfetto",
    )
    return run


def _keys_help() -> str:
    """Return the configuration's keys, as options, with types and defaults."""
    from hpcgan.config_file import keys_help

    return f"keys of CONFIG.yaml, as options that override it:\n\n{keys_help()}"
