"""The figures of networks while they train, on one rank: against those computed otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from hpcgan.evaluation.while_training import Evaluator
from hpcgan.gan.state import State
from hpcgan.training.plan import Plan, prepare
from hpcgan.world import World

CONDITION = {"name": "dcgan", "width": 2, "latent_dim": 6, "condition": "projection"}


def write(path: Path, images: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        file["images"] = images
        file["labels"] = np.arange(len(images)) % 3
    return path


def plan(world: World, place: Path, images: np.ndarray, **sections: Any) -> Plan:
    """Return the plan of a run on some images."""
    data = {"files": [str(write(place / "data.h5", images))], "labels": "labels"}
    content = {"data": data, "train": {"batch_size": 5}, **sections}
    (place / "run.yaml").write_text(json.dumps(content))
    return prepare(world, str(place / "run.yaml"), [], place / "run", "never")


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (81, 8, 8, 1), np.uint8)


def test_a_discriminator_is_judged_with_the_samples_own_labels(
    world: World, tmp_path: Path, images: np.ndarray
) -> None:
    """D's logit is the class of the label: real samples have the classes of the data."""
    made = plan(world, tmp_path, images, model=CONDITION)
    state = State(made.config, made.source.sample_shape)
    evaluator = Evaluator(world, made, state)
    given: list[tuple[np.ndarray, np.ndarray]] = []

    class Discriminator:
        inputs = state.discriminators[0].inputs

        def __call__(self, inputs: Any, training: bool) -> np.ndarray:
            assert not training
            samples, labels = map(np.array, inputs)
            assert -1 <= samples.min() < samples.max() <= 1
            given.append((samples, labels))
            return labels.astype(np.float32)[:, np.newaxis]

    state.discriminators[0] = Discriminator()  # type: ignore[assignment]
    figures = evaluator.evaluate()
    assert abs(figures["auc_real_fake"] - 0.5) < 0.05  # classes come as often as in the data
    everything = images.astype(np.float32).reshape(81, -1) / 127.5 - 1
    seen = np.concatenate([samples for samples, _ in given]).reshape(-1, 64)
    labels = np.concatenate([labels for _, labels in given])
    place = {row.tobytes(): number for number, row in enumerate(everything)}
    real = [
        (place[row.tobytes()], label)
        for row, label in zip(seen, labels, strict=True)
        if row.tobytes() in place
    ]
    assert len(real) == 40
    assert all(number % 3 == label for number, label in real)


def test_a_generator_that_gives_the_data_has_the_figures_of_real_samples(
    world: World, tmp_path: Path, images: np.ndarray
) -> None:
    made = plan(world, tmp_path, images)
    state = State(made.config, made.source.sample_shape)
    evaluator = Evaluator(world, made, state)
    order = np.random.Generator(np.random.Philox(key=0)).permutation(81)

    class Generator:
        """Gives the second part of the real samples, from which the floors are."""

        given = 0

        def __call__(self, latents: Any, training: bool) -> np.ndarray:
            first, self.given = self.given, self.given + len(latents)
            numbers = np.sort(order[40:80])[first : self.given]
            return (images[numbers] / 127.5 - 1).astype(np.float32)

    state.generator = Generator()  # type: ignore[assignment]
    figures = evaluator.evaluate()
    assert evaluator.features == "pca10"
    for name, floor in evaluator.floors.items():
        assert figures[name] == pytest.approx(floor, rel=1e-6), name
