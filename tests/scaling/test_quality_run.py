"""A training run of a study, on the one rank of this process: the very updates of ``train``."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcgan.evaluation.features import pca
from hpcgan.evaluation.figures.frechet import frechet
from hpcgan.pictures import to_dtype
from hpcgan.scaling import calls, quality_run
from hpcgan.scaling.runs import Quality, read_start
from hpcgan.world import World
from tests.evaluation.made import spread as spread_samples

CONFIG = "model: {latent_dim: 6}\ntrain: {batch_size: 5, steps: 12, ema: 0.5}\n"


def test_samples_are_those_of_the_same_training(world: World, data_file: Path) -> None:
    from hpcgan import checkpoint
    from hpcgan.gan.sampling import sampling_inputs
    from hpcgan.gan.state import State
    from hpcgan.training import run
    from hpcgan.training.plan import prepare
    from hpcgan.training.stop import Request

    place = data_file.parent
    config = place / "config.yaml"
    config.write_text(f"data: {{files: [{data_file}]}}\n{CONFIG}")
    words = [str(config), str(place / "out.json"), "weak", "60"]
    arguments = calls.parse(Quality, quality_run.train, words)
    arguments.run(world, arguments)
    found = read_start(place / "out.json", Quality)
    assert found.points[0].images == 0
    assert found.points[0].seconds == 0
    assert found.points[-1].images == 60
    assert len(found.points) == 9
    seconds = [point.seconds for point in found.points]
    assert seconds == sorted(seconds)

    plan = prepare(world, str(config), [], place / "run", "never")
    run.train(world, plan, Request(None))
    state = State(plan.config, plan.source.sample_shape)
    checkpoint.restore(world, state, checkpoint.read(place / "run/checkpoints/step_00000012.h5"))
    with h5py.File(data_file) as file:
        real = file["images"][:]
    both = spread_samples(world, np.zeros((len(real), 0)), real)
    extractor = pca.fit(both, 32)
    blocks = [sampling_inputs(plan.config.model, 0, block)[0] for block in range(8)]
    drawn = np.concatenate([np.array(state.sampler(each, training=False)) for each in blocks])
    samples = extractor.features(to_dtype(drawn, "uint8"))
    reference = spread_samples(world, extractor.features(real))
    expected = frechet(spread_samples(world, samples), reference)["frechet"]
    assert found.points[-1].frechet == pytest.approx(expected, rel=1e-3)


def test_samples_of_the_data_come_from_all_over_it() -> None:
    assert quality_run.spread(80, 1000).tolist() == list(range(80))
    assert quality_run.spread(80, 4).tolist() == [0, 26, 52, 79]
