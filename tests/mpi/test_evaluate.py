"""``hpcgan evaluate`` by any number of ranks: the figures of one that has all samples."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from hpcgan import checkpoint, generate
from hpcgan.evaluation import drawing
from hpcgan.evaluation.evaluate import Wanted, evaluate
from hpcgan.evaluation.features import pca, with_features
from hpcgan.evaluation.figures.table import FIGURES
from hpcgan.evaluation.report import line
from hpcgan.evaluation.subject import Named
from hpcgan.generation import sampler
from hpcgan.generation.form import Output
from tests.evaluation.made import spread

COUNT = 520  # two blocks and a part of one
# A figure of each kind: tests/mpi/test_figures.py has all.
METRICS = ("frechet", "precision_recall", "copies", "physics")


def test_figures_of_a_run_and_of_a_file_of_its_samples_on_any_number_of_ranks(
    world, shared_path, small_run
):
    real, made = shared_path / "real.h5", shared_path / "made.h5"
    images = np.random.default_rng(8).integers(0, 256, (1100, 8, 8, 1), np.uint8)

    def write() -> None:
        with h5py.File(real, "w") as file:
            file["images"] = images

    world.on_root(write)
    path = checkpoint.path_of(small_run.directory / "checkpoints", 10)
    wanted = Wanted(COUNT, metrics=METRICS, seed=4)
    found = evaluate(world, Named(small_run.directory, real=[str(real)]), wanted)
    assert (found.samples, found.features, found.notes) == (COUNT, "pca64", [])
    assert found.subject.found.step == 10
    # All ranks have the same figures, to the last bit.
    assert len(set(world.gather_json(line(found, 4)))) == 1

    generate.generate(world, path, sampler.Wanted(COUNT, seed=4), Output(made))
    world.barrier()
    wanted = Wanted(COUNT, metrics=("frechet",), seed=4)
    from_file = evaluate(world, Named(made, real=[str(real)]), wanted)
    assert from_file.metrics["frechet"] == found.metrics["frechet"]

    alone = world.split(world.rank)
    if not world.is_root:
        return
    with h5py.File(made) as file:
        drawn = file["images"][:]
    first, second = drawing.choose(4, 1100, COUNT, COUNT)
    none = np.zeros((COUNT, 0))
    both = np.concatenate([images[first], images[second]])
    extractor = pca.fit(spread(alone, np.zeros((2 * COUNT, 0)), both))
    whole, reference, other = (
        with_features(extractor, spread(alone, none, each))
        for each in (drawn, images[first], images[second])
    )
    expected = {
        key: (value, FIGURES[name](other, reference)[key])
        for name in METRICS
        for key, value in FIGURES[name](whole, reference).items()
    }
    assert found.metrics.keys() == expected.keys()
    for key, pair in expected.items():
        assert found.metrics[key] == pytest.approx(pair, rel=1e-6), key
