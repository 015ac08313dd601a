"""Did a GAN of handwritten digits learn? The figures that `make demo` prints.

    mpirun -np 2 python -m hpcgan.evaluation.digits RUN_DIR --real digits.h5
        --held-out digits-held-out.h5

The Fréchet distance from generated to held-out digits, in the space of the first 32 principal
components of the real ones, beside its floor, the same distance of the real ones; and how many of
the ten digits appear, by a logistic regression fitted to the real ones. Each stands beside its
value before training, from the run's checkpoint of step 0. Needs scikit-learn (the extra ``demo``).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np

from hpcgan import checkpoint, command, packages
from hpcgan.checkpoint import Checkpoint
from hpcgan.config import DataConfig
from hpcgan.data.source import Source, open_source
from hpcgan.devices import prepare_tensorflow
from hpcgan.errors import ConfigError, DataError
from hpcgan.evaluation import drawing
from hpcgan.evaluation.features import flat, pca, with_features
from hpcgan.evaluation.figures.frechet import frechet
from hpcgan.evaluation.samples import Samples
from hpcgan.evaluation.subject import Named, open_subject
from hpcgan.files import check_is_file
from hpcgan.generation.sampler import check_trusted
from hpcgan.world import World

_COMPONENTS = 32
_SAMPLES = 1000
_SEED = 1
CLASSIFIED = 10_000  # real digits that the classifier is fitted to, at most
# A digit appears if it is at least this share of the samples.
_SHARE = 0.03


def main() -> int:
    """Print the figures of a finished run and return the exit status."""
    return command.run("hpcgan.evaluation.digits", _parse)


def _parse() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = command.Parser("python -m hpcgan.evaluation.digits")
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--held-out", type=Path, required=True)
    parser.set_defaults(run=_report)
    return parser.parse_args()


class Evaluator:
    """What real digits are like. All ranks must call its methods.

    Attributes:
        floor: the Fréchet distance of the real digits to the held-out ones.
    """

    def __init__(self, real: Samples, held_out: Samples) -> None:
        """Look at the digits trained on, which have labels 0 to 9, and at held-out ones."""
        self._extractor = pca.fit(real, _COMPONENTS)
        self._held_out = with_features(self._extractor, held_out)
        self.floor = self._distance(real)
        self._classifier: Any = None  # rank 0 has one
        self._fit_classifier(real)

    def _fit_classifier(self, real: Samples) -> None:
        """Fit it to digits from all over the data."""
        assert real.labels is not None
        group, every = real.group, -(-real.count // CLASSIFIED)
        wanted = real.numbers % every == 0
        images = group.gather_arrays(real.images[wanted])
        labels = group.gather_arrays(real.labels[wanted].astype(np.int64))
        if images is not None:
            from sklearn.linear_model import LogisticRegression

            self._classifier = LogisticRegression(max_iter=1000).fit(flat(images), labels)

    def evaluate(self, samples: Samples) -> tuple[float, list[int]]:
        """Return the Fréchet distance to the held-out digits and the digits that appear."""
        digits = self.classify(samples)
        shares = np.bincount(digits, minlength=10) / samples.count
        return self._distance(samples), np.flatnonzero(shares >= _SHARE).tolist()

    def classify(self, samples: Samples) -> list[int]:
        """Return the digit that each of the samples of all ranks looks like, rank by rank."""
        images = samples.group.gather_arrays(samples.images)

        def classified() -> list[int]:
            assert images is not None
            digits: list[int] = self._classifier.predict(flat(images)).tolist()
            return digits

        digits: list[int] = samples.group.on_root(classified)
        return digits

    def _distance(self, samples: Samples) -> float:
        return frechet(with_features(self._extractor, samples), self._held_out)["frechet"]


def read(world: World, real: Source, held_out: Source) -> Evaluator:
    """Return what all digits of two files, of which ``real`` has labels, are like.

    All ranks must call it.

    Raises:
        UserError: they cannot be read, or scikit-learn is missing (on all ranks).
    """
    world.all_or_raise(_check_classifier)
    labels = world.all_or_raise(real.read_labels)
    known, other = np.arange(len(real)), np.arange(len(held_out))
    return Evaluator(drawing.read(world, real, known, labels), drawing.read(world, held_out, other))


def sample(world: World, found: Checkpoint, like: Source) -> Samples:
    """Return samples of a checkpoint's generator, with classes in turn. All ranks must call it."""
    world.all_or_raise(lambda: check_trusted(found, "generate"))
    world.all_or_raise(lambda: prepare_tensorflow(world))
    from hpcgan.gan.state import State

    state = State(found.config, found.sample_shape)
    checkpoint.restore(world, state, found)
    none = Samples(world, 0, np.zeros((0, *like.sample_shape), like.dtype), np.zeros((0, 0)))
    return drawing.generate(world, state, found.config, none, (), _SAMPLES, _SEED)


def _report(world: World, arguments: argparse.Namespace) -> None:
    """Print where the grid is, the speed and the figures before and after."""
    run_dir: Path = arguments.run_dir
    files = [str(arguments.real)]
    subject = open_subject(world, Named(run_dir, real=files, held_out=[str(arguments.held_out)]))
    real = open_source(world, DataConfig(files, subject.real.images, labels="labels"))
    before_training = checkpoint.path_of(run_dir / "checkpoints", 0)
    first = checkpoint.read_together(world, lambda: checkpoint.read(before_training))
    last, held_out = subject.found, subject.held_out
    assert first
    assert last
    assert held_out
    lines = world.on_root(lambda: read_lines(run_dir))
    evaluator = read(world, real, held_out)
    (before, digits_before), (after, digits_after) = (
        evaluator.evaluate(sample(world, found, held_out)) for found in (first, last)
    )
    if not world.is_root:
        return
    speed = statistics.median(line["images_per_second"] for line in lines)
    print(f"sample grid:       {run_dir}/samples/step_{last.step:08d}.png")
    print(f"images per second: {speed:.0f} (median of {len(lines)} lines of metrics.jsonl)")
    print(
        f"Fréchet distance:  {after:.1f} after {last.step} steps, {before:.1f} before training "
        f"({before / after:.1f} times less), {evaluator.floor:.2f} of real digits"
    )
    print(f"digits that appear: {_listed(digits_after)} after, {_listed(digits_before)} before")


def _check_classifier() -> None:
    """Refuse to begin without the package that classifies digits.

    It is imported here: where TensorFlow is prepared before, it is hidden from it.
    """
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
