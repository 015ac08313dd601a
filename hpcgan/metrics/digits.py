"""Did a GAN of handwritten digits learn? The two figures that `make demo` prints.

    python -m hpcgan.metrics.digits RUN_DIR --real digits.h5 --held-out digits-held-out.h5

The Fréchet distance from generated to held-out digits, in the space of the first 32 principal
components of the real ones; and how many of the ten digits appear, told by a logistic regression
fitted to the real ones. Each stands beside its value before training, from the run's checkpoint
of step 0. Needs scikit-learn (the extra ``demo``).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from sklearn.linear_model import LogisticRegression

from hpcgan import checkpoint
from hpcgan.errors import CheckpointError, UserError
from hpcgan.generate import sample
from hpcgan.metrics.frechet import flat, frechet_distance, principal_components
from hpcgan.pictures import to_dtype
from hpcgan.world import World

_COMPONENTS = 32
_SAMPLES = 1000
# A digit appears if it is at least this share of the samples.
_SHARE = 0.03


def main() -> None:
    """Print the figures of a finished run."""
    parser = argparse.ArgumentParser("python -m hpcgan.metrics.digits")
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--held-out", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        _report(arguments.run_dir, arguments.real, arguments.held_out)
    except UserError as error:
        print(f"hpcgan.metrics.digits: {error}", file=sys.stderr)
        sys.exit(error.status)


def figures(
    real: np.ndarray, labels: np.ndarray, held_out: np.ndarray, samples: np.ndarray
) -> tuple[float, list[int]]:
    """Return the Fréchet distance to the held-out digits and the digits that appear.

    Args:
        real: (N, H, W, C) uint8, the digits trained on.
        labels: (N,), theirs, 0 to 9.
        held_out: (M, H, W, C) uint8.
        samples: (K, H, W, C) uint8, generated.
    """
    space = principal_components(real, _COMPONENTS)
    distance = frechet_distance(space.project(samples), space.project(held_out))
    classifier = LogisticRegression(max_iter=1000).fit(flat(real), labels)
    counts = np.bincount(classifier.predict(flat(samples)), minlength=10)
    return distance, [int(d) for d in np.flatnonzero(counts >= _SHARE * len(samples))]


def _report(run_dir: Path, real_path: Path, held_out_path: Path) -> None:
    """Print where the grid is, the speed and the figures before and after."""
    world = World()
    last, _ = checkpoint.newest(run_dir / "checkpoints")
    if last is None:
        raise CheckpointError(f"{run_dir}: there is no whole checkpoint")
    first = checkpoint.read(checkpoint.path_of(run_dir / "checkpoints", 0))
    with h5py.File(real_path, "r") as file:
        real, labels = file["images"][:], file["labels"][:]
    with h5py.File(held_out_path, "r") as file:
        held_out = file["images"][:]
    results = []
    for found in (first, last):
        drawn = sample(world, found, _SAMPLES, seed=1)
        assert drawn is not None
        results.append(figures(real, labels, held_out, to_dtype(drawn[0], "uint8")))
    (before, digits_before), (after, digits_after) = results
    lines = _metrics(run_dir)
    speed = statistics.median(line["images_per_second"] for line in lines)
    print(f"sample grid:       {run_dir}/samples/step_{last.step:08d}.png")
    print(f"images per second: {speed:.0f} (median of {len(lines)} lines of metrics.jsonl)")
    print(
        f"Fréchet distance:  {after:.1f} after {last.step} steps, {before:.1f} before training "
        f"({before / after:.1f} times less)"
    )
    print(f"digits that appear: {_listed(digits_after)} after, {_listed(digits_before)} before")


def _metrics(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in (run_dir / "metrics.jsonl").read_text().splitlines()]


def _listed(digits: list[int]) -> str:
    return f"{len(digits)} of 10 ({' '.join(map(str, digits)) or 'none'})"


if __name__ == "__main__":
    main()
