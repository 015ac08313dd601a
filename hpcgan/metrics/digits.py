"""Did a GAN of handwritten digits learn? The two figures that `make demo` prints.

    python -m hpcgan.metrics.digits RUN_DIR --real digits.h5 --held-out digits-held-out.h5

The Fréchet distance from generated to held-out digits, in the space of the first 32 principal
components of the real ones; and how many of the ten digits appear, by a logistic regression fitted
to the real ones. Each stands beside its value before training, from the run's checkpoint
of step 0. Needs scikit-learn (the extra ``demo``).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hpcgan import checkpoint, command, packages
from hpcgan.config import DataConfig
from hpcgan.errors import ConfigError, DataError
from hpcgan.files import check_is_file
from hpcgan.generate import Wanted, sample
from hpcgan.metrics.frechet import flat, frechet_distance, principal_components
from hpcgan.metrics.inputs import newest_checkpoint, open_samples, read_chunks
from hpcgan.pictures import to_dtype
from hpcgan.world import World

_COMPONENTS = 32
_SAMPLES = 1000
CLASSIFIED = 10_000  # real digits that the classifier is fitted to, at most
# A digit appears if it is at least this share of the samples.
_SHARE = 0.03


def main() -> int:
    """Print the figures of a finished run and return the exit status."""
    return command.run("hpcgan.metrics.digits", _parse)


def _parse() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = command.Parser("python -m hpcgan.metrics.digits")
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--held-out", type=Path, required=True)
    parser.set_defaults(run=_report)
    return parser.parse_args()


class Evaluator:
    """What real digits are like, taken in by chunks that need not fit in memory together."""

    def __init__(
        self, real: Iterable[np.ndarray], labels: np.ndarray, held_out: Iterable[np.ndarray]
    ) -> None:
        """Look at them.

        Args:
            real: chunks (n, H, W, C) uint8 of the digits trained on.
            labels: (N,), of all of them, 0 to 9.
            held_out: chunks (n, H, W, C) uint8.
        """
        from sklearn.linear_model import LogisticRegression

        every = -(-len(labels) // CLASSIFIED)  # by steps: a file may be sorted by its labels
        known: list[np.ndarray] = []

        def noting() -> Iterator[np.ndarray]:
            begin = 0
            for chunk in real:
                known.append(chunk[-begin % every :: every].copy())
                begin += len(chunk)
                yield chunk

        self._space = principal_components(noting(), _COMPONENTS)
        self._held_out = np.concatenate([self._space.project(chunk) for chunk in held_out])
        classifier = LogisticRegression(max_iter=1000)
        self._classifier = classifier.fit(flat(np.concatenate(known)), labels[::every])

    def evaluate(self, samples: np.ndarray) -> tuple[float, list[int]]:
        """Return the Fréchet distance to the held-out digits and the digits that appear.

        Args:
            samples: (K, H, W, C) uint8, generated.
        """
        distance = frechet_distance(self._space.project(samples), self._held_out)
        counts = np.bincount(self.classify(samples), minlength=10)
        return distance, np.flatnonzero(counts >= _SHARE * len(samples)).tolist()

    def classify(self, samples: np.ndarray) -> np.ndarray:
        """Return the digit, (K,), that each of ``samples``, (K, H, W, C) uint8, looks like."""
        return self._classifier.predict(flat(samples))


def _report(world: World, arguments: argparse.Namespace) -> None:
    """Print where the grid is, the speed and the figures before and after."""
    world.all_or_raise(_check_classifier)
    run_dir: Path = arguments.run_dir
    before_training = checkpoint.path_of(run_dir / "checkpoints", 0)
    last = newest_checkpoint(world, run_dir)
    first = checkpoint.read_together(world, lambda: checkpoint.read(before_training))
    assert first
    real = open_samples(world, DataConfig([str(arguments.real)], labels="labels"), last)
    held_out = open_samples(world, DataConfig([str(arguments.held_out)]), last)
    lines = world.on_root(lambda: read_lines(run_dir))
    evaluators: list[Evaluator] = []
    world.on_root(
        lambda: evaluators.append(
            Evaluator(read_chunks(real), real.read_labels(), read_chunks(held_out))
        )
    )
    drawn = [sample(world, found, Wanted(_SAMPLES, seed=1)) for found in (first, last)]
    if not world.is_root:
        return
    (before, digits_before), (after, digits_after) = (
        evaluators[0].evaluate(to_dtype(each[0], "uint8")) for each in drawn if each
    )
    speed = statistics.median(line["images_per_second"] for line in lines)
    print(f"sample grid:       {run_dir}/samples/step_{last.step:08d}.png")
    print(f"images per second: {speed:.0f} (median of {len(lines)} lines of metrics.jsonl)")
    print(
        f"Fréchet distance:  {after:.1f} after {last.step} steps, {before:.1f} before training "
        f"({before / after:.1f} times less)"
    )
    print(f"digits that appear: {_listed(digits_after)} after, {_listed(digits_before)} before")


def _check_classifier() -> None:
    """Refuse to begin without the package that classifies digits."""
    wrong = packages.problem("sklearn")
    if wrong:
        raise ConfigError(f"scikit-learn {wrong}: pip install 'hpcgan[demo]'")


def read_lines(run_dir: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's journal; raise ``DataError`` if there is none."""
    path = run_dir / "metrics.jsonl"
    check_is_file(path, "journal of a run", DataError)
    return [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]


def _listed(digits: list[int]) -> str:
    return f"{len(digits)} of 10 ({' '.join(map(str, digits)) or 'none'})"


if __name__ == "__main__":
    sys.exit(main())
