"""A training run of a study, on the one rank of this process: the very updates of ``train``."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcgan.data.source import Source
from hpcgan.scaling import calls, quality_run
from hpcgan.scaling.runs import Quality, read_start
from hpcgan.world import World

CONFIG = "model: {latent_dim: 6}\ntrain: {batch_size: 5, steps: 12, ema: 0.5}\n"


def test_samples_are_those_of_the_same_training(world: World, data_file: Path) -> None:
    from hpcgan import checkpoint
    from hpcgan.gan.sampling import sampling_inputs
    from hpcgan.gan.state import State
    from hpcgan.metrics.frechet import frechet_distance, principal_components
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
    space = principal_components([real], 32)
    blocks = [sampling_inputs(plan.config.model, 0, block)[0] for block in range(8)]
    samples = np.concatenate([np.array(state.sampler(each, training=False)) for each in blocks])
    expected = frechet_distance(space.project(samples), space.project(real))
    assert found.points[-1].frechet == pytest.approx(expected, rel=1e-3)


def test_samples_of_the_data_come_from_all_over_it(data_file: Path) -> None:
    source = Source((str(data_file),) * 2, (40, 40), (16, 7), "images", None, (8, 8, 1), "uint8")
    with h5py.File(data_file) as file:
        both = np.concatenate([file["images"][:]] * 2)
    assert np.array_equal(quality_run.spread(source, 80), both)
    assert np.array_equal(quality_run.spread(source, 1000), both)
    assert np.array_equal(quality_run.spread(source, 4), both[[0, 26, 52, 79]])
