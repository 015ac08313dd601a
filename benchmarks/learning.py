"""What each family of networks learns of real digits, at equal numbers of real images seen.

    python -m benchmarks.learning [--out DIR] [CASE ...]

Each case is a run of two ranks. It prints the Fréchet distance of the demo (docs/models.md) before
and after, the speed, and where labels are given how many samples a logistic regression takes for
the label that they were asked to have. The sample grids are in DIR.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.measure import MPIRUN, run
from data_tools import digits
from hpcgan import checkpoint
from hpcgan.config import DataConfig
from hpcgan.data.source import open_source
from hpcgan.evaluation import digits as digits_figures
from hpcgan.world import World

RANKS = 2
IMAGES = 51_200

_LABELS = "--data.labels=labels"


def _resnet() -> list[str]:
    """Return the resnet's networks, loss and rates, as SNGAN has them but for its size."""
    players = ("generator", "discriminator")
    return [
        "--model.name=resnet",
        "--model.width=16",
        "--loss.name=hinge",
        *[f"--optimizer.{player}.beta_1=0" for player in players],
        "--optimizer.discriminator.learning_rate=0.0004",
    ]


# What each case changes of the preset of the digits, which is the first.
CASES: dict[str, list[str]] = {
    "dcgan": [],
    "resnet hinge": _resnet(),
    "wgan-gp": [
        "--loss.name=wasserstein",
        "--optimizer.generator.learning_rate=0.0004",
        "--optimizer.discriminator.learning_rate=0.0008",
    ],
    "conditional dcgan": ["--model.condition=projection", _LABELS],
    "dcgan bfloat16": ["--train.precision=mixed_bfloat16"],
    "mlp": ["--model.name=mlp"],
    "dcgan minimax": ["--loss.name=minimax", "--loss.label_smoothing=0.1"],
    "dcgan least squares": ["--loss.name=least_squares", "--train.update=alternating"],
    "dcgan hinge r1": ["--loss.name=hinge", "--loss.r1=1"],
    "dcgan augmented": ["--train.augment=[translation,cutout]"],
    "dcgan synchronised": ["--model.normalisation=synchronised", "--train.accumulate=2"],
    "dcgan 16 bits sent": ["--parallel.compression=bf16"],
    "auxiliary dcgan": ["--model.condition=auxiliary", _LABELS],
    "conditional resnet": [
        *_resnet(),
        "--model.condition=projection",
        "--model.attention=true",
        _LABELS,
    ],
}


def main() -> None:
    """Run the cases and print a line for each."""
    parser = argparse.ArgumentParser("python -m benchmarks.learning")
    parser.add_argument("cases", nargs="*", default=[], metavar="CASE")
    parser.add_argument("--out", type=Path, default=Path("learning"))
    arguments = parser.parse_args()
    unknown = set(arguments.cases) - set(CASES)
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)}; there are: {', '.join(CASES)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    world = World()
    print(f"{IMAGES} real images seen by {RANKS} ranks")
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory) / "digits.h5"
        digits.write(data, 28, 0.2, 0)
        for name in arguments.cases or CASES:
            run_dir = Path(directory) / name.replace(" ", "-")
            train(data, run_dir, CASES[name])
            print(f"{name:<20}{report(world, data, run_dir)}", flush=True)
            grid = sorted((run_dir / "samples").iterdir())[-1]
            shutil.copy(grid, arguments.out / f"{run_dir.name}.png")


def train(data: Path, run_dir: Path, overrides: list[str]) -> None:
    """Train a case from the preset of the digits."""
    program = [MPIRUN, "-n", str(RANKS), sys.executable, "-m", "hpcgan", "train", "digits"]
    words = [f"--data.files=[{data}]", f"--run-dir={run_dir}", "--checkpoint.every_steps=800"]
    run([*program, *words, *overrides])


def report(world: World, data: Path, run_dir: Path) -> str:
    """Return the figures of a finished run."""
    real = open_source(world, DataConfig([str(data)], labels="labels"))
    held_out = open_source(world, DataConfig([str(data.with_stem("digits-held-out"))]))
    evaluator = digits_figures.read(world, real, held_out)
    last, _ = checkpoint.newest(run_dir / "checkpoints")
    assert last is not None
    assert last.images == IMAGES
    distances = []
    for found in (checkpoint.read(checkpoint.path_of(run_dir / "checkpoints", 0)), last):
        samples = digits_figures.sample(world, found, held_out)
        distances.append(evaluator.evaluate(samples)[0])
    lines = digits_figures.read_lines(run_dir)
    speed = statistics.median(line["images_per_second"] for line in lines)
    text = f"Fréchet {distances[0]:6.1f} -> {distances[1]:5.1f}   {speed:5.0f} images/s"
    if samples.labels is not None:
        text += f"   {np.mean(evaluator.classify(samples) == samples.labels):.1%} have their label"
    return text


if __name__ == "__main__":
    main()
