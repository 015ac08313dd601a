"""``hpcgan evaluate``: its words, and how its figures are written."""

from __future__ import annotations

import argparse
import difflib
import io
import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

from hpcgan import command
from hpcgan.errors import ConfigError
from hpcgan.evaluation.figures.names import FEWEST, NAMES, TOGETHER
from hpcgan.files import write_whole, writing
from hpcgan.world import World


def add(commands: Any) -> None:
    """Add the command to those of ``hpcgan``."""
    parser = commands.add_parser(
        "evaluate",
        help="compare a GAN's samples with real ones, each figure beside its floor",
        description="Compare the samples of a run, a checkpoint or a file with real ones. Each "
        "figure stands beside its floor: the same figure of other real samples.",
    )
    parser.add_argument("path", type=Path, metavar="RUN_DIR|CHECKPOINT|SAMPLES.h5")
    parser.add_argument(
        "--real", nargs="+", default=[], metavar="FILE", help="real samples (default: the run's)"
    )
    parser.add_argument(
        "--held-out",
        nargs="+",
        default=[],
        metavar="FILE",
        help="real samples that the GAN has not seen, to compare with (default: some of --real)",
    )
    parser.add_argument(
        "--samples",
        type=command.whole_number(FEWEST),
        default=10_000,
        metavar="N",
        help="of each kind (default: 10000, or as many as there are)",
    )
    parser.add_argument(
        "--features",
        default="pca",
        metavar="F",
        help="pca (default), imagenet, classifier:FILE or FILE.keras",
    )
    parser.add_argument(
        "--metrics",
        type=_metrics,
        metavar="LIST",
        help=f"of {','.join([*NAMES, *TOGETHER])} (default: all but two_sample)",
    )
    parser.add_argument(
        "--checkpoint",
        type=_which,
        metavar="best|newest|STEP",
        help="of a run directory (default: newest)",
    )
    parser.add_argument("--seed", type=command.whole_number(0, 2**32 - 1), default=0, metavar="S")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write the figures there too")
    parser.add_argument(
        "--input-range",
        type=_range,
        metavar="LOW,HIGH",
        help="what FILE.keras takes the lowest and highest values of samples as (default: -1,1)",
    )
    parser.add_argument("--images", metavar="NAME", help="dataset of the samples")
    parser.add_argument("--labels", metavar="NAME", help="dataset of the labels")
    parser.add_argument(
        "--trust-networks",
        action="store_true",
        help="run the functions that the checkpoint names for its networks",
    )
    parser.set_defaults(run=_evaluate)


def _metrics(text: str) -> tuple[str, ...]:
    """Return the names of a list of figures, each once."""
    names = tuple(dict.fromkeys(text.split(",")))
    known = [*NAMES, *TOGETHER]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise argparse.ArgumentTypeError(f"there is no figure {name!r}; {hint}")
    return names


def _which(word: str) -> str:
    if word not in ("best", "newest") and not re.fullmatch("[0-9]{1,18}", word):
        raise argparse.ArgumentTypeError(f"{word!r} is neither best nor newest nor a step")
    return word


def _range(text: str) -> tuple[float, float]:
    """Return two ascending numbers."""
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        low = high = math.nan
    if not (low < high and math.isfinite(high - low)):
        raise argparse.ArgumentTypeError(f"{text!r} is no LOW,HIGH, such as 0,255")
    return low, high


def _evaluate(world: World, arguments: argparse.Namespace) -> None:
    """Compare, print and write. All ranks must call it."""
    # Here, since every command reads this module.
    from hpcgan.evaluation.evaluate import Wanted, evaluate
    from hpcgan.evaluation.report import as_json, line, table
    from hpcgan.evaluation.subject import Named

    given = arguments
    if given.out:
        world.on_root(lambda: _prepare(given.out))
    named = Named(
        given.path, given.checkpoint, given.real, given.held_out, given.images, given.labels
    )
    wanted = Wanted(
        given.samples,
        given.features,
        given.metrics,
        given.seed,
        given.input_range,
        given.trust_networks,
        has_pairs=bool(given.out),
    )
    found = evaluate(world, named, wanted)
    if not world.is_root:
        return
    if given.out:
        write_whole(given.out, as_json(found, given.seed).encode())
    if given.out and found.pairs is not None:
        _write_picture(given.out.with_name(f"{given.out.stem}-nearest.png"), found.pairs)
    for note in found.notes:
        print(f"hpcgan: warning: {note}", file=sys.stderr)
    print(table(found))
    print(line(found, given.seed), flush=True)


def _prepare(out: Path) -> None:
    """Refuse another suffix, and make the directory."""
    if out.suffix != ".json":
        raise ConfigError(f"--out {out}: the suffix must be .json")
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)


def _write_picture(out: Path, pairs: np.ndarray) -> None:
    """Write samples, each beside the training sample that is nearest to it."""
    from hpcgan import pictures

    content = io.BytesIO()
    pictures.grid(pairs).save(content, format="PNG")
    write_whole(out, content.getbuffer())
