"""Samples of a checkpoint, made by any number of ranks."""

from __future__ import annotations

import functools
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcgan import checkpoint, ensemble, generate
from hpcgan.blocks import BLOCK
from hpcgan.errors import ConfigError
from hpcgan.gan import noise
from hpcgan.gan.state import State
from hpcgan.generate import Wanted
from hpcgan.pictures import to_dtype
from hpcgan.turns import Turns
from tests.mpi.small_runs import train, write_config
from tests.populations import write_population


def test_samples_do_not_depend_on_the_number_of_ranks(world, shared_path, small_run):
    path = checkpoint.path_of(small_run.directory / "checkpoints", 5)
    found = checkpoint.read(path)
    count = 2 * BLOCK + 3
    drawn = generate.sample(
        world, checkpoint.read_together(world, lambda: checkpoint.read(path)), Wanted(count, seed=9)
    )
    generate.generate(world, path, Wanted(count, seed=9), shared_path / "many.h5")
    if not world.is_root:
        assert drawn is None
        return
    samples, labels = drawn
    assert labels is None
    with h5py.File(shared_path / "many.h5") as file:
        assert np.array_equal(file["images"], to_dtype(samples, "uint8"))
    state = State(found.config, found.sample_shape)
    state.load(found.groups, str(path))
    latents = np.concatenate([noise.sampling_latents(9, block, 6) for block in range(3)])
    expected = np.array(state.generator(latents[:count], training=False))
    np.testing.assert_allclose(samples, expected, atol=1e-6)


def test_a_conditional_run_learns_and_makes_the_labels_it_is_asked_for(world, shared_path):
    model = {"name": "dcgan", "latent_dim": 6, "width": 4, "condition": "projection"}
    config = write_config(world, shared_path, model=model)
    options = ["--data.labels=labels", "--data.partition=balanced"]
    train(world, config, shared_path / "run", *options)
    path = checkpoint.path_of(shared_path / "run" / "checkpoints", 10)
    found = checkpoint.read_together(world, lambda: checkpoint.read(path))
    assert found.config.model.classes == 3
    drawn = [generate.sample(world, found, Wanted(9, label=label)) for label in (None, "2")]
    if world.is_root:
        (in_turn, labels), (twos, all_two) = drawn
        assert labels.tolist() == [0, 1, 2] * 3
        assert all_two.tolist() == [2] * 9
        same = [np.array_equal(one, two) for one, two in zip(in_turn, twos, strict=True)]
        assert same == [False, False, True] * 3
    generate.generate(world, path, Wanted(5), shared_path / "samples.h5")
    if world.is_root:
        with h5py.File(shared_path / "samples.h5") as file:
            assert file["images"].shape == (5, 8, 8, 1)
            assert file["labels"][:].tolist() == [0, 1, 2, 0, 1]
    with pytest.raises(ConfigError, match=r"--label 3: the labels of .* are 0 to 2"):
        generate.generate(world, path, Wanted(5, label="3"), shared_path / "samples.h5")


def test_networks_of_several_values_learn_and_make_what_they_are_asked_for(world, shared_path):
    model = {"name": "volume", "latent_dim": 6, "width": 2, "condition": "regression"}
    config = write_config(world, shared_path, model=model)
    world.on_root(lambda: _write_showers(shared_path / "data.h5"))
    train(world, config, shared_path / "run", "--data.labels=labels", "--train.steps=2")
    path = checkpoint.path_of(shared_path / "run" / "checkpoints", 2)
    out = shared_path / "samples.h5"
    generate.generate(world, path, Wanted(BLOCK + 2), out, "flat")
    if world.is_root:
        found = checkpoint.read(path)
        assert found.config.model.label_range == [10, 50, -1, 1]
        assert (found.samples.values, found.samples.counts) == ("scale:0.01,0", ())
        with h5py.File(out) as file:
            images, labels = file["images"][:], file["labels"][:]
        assert (images.shape, images.dtype) == ((BLOCK + 2, 512), np.float32)
        drawn = np.concatenate([noise.sampling_values(0, block, 2) for block in range(2)])
        expected = np.array([10, -1]) + np.array([40, 2]) * drawn[: len(labels)]
        np.testing.assert_allclose(labels, expected, rtol=1e-6, atol=1e-6)
        state = State(found.config, found.sample_shape)
        state.load(found.groups, str(path))
        inputs = (labels - [0, -1]) / [50, 2]
        latents = np.concatenate([noise.sampling_latents(0, block, 6) for block in range(2)])
        showers = np.array(state.generator([latents[:9], inputs[:9].astype(np.float32)]))
        np.testing.assert_allclose(images[:9], showers.reshape(9, 512) * 100, rtol=1e-4, atol=1e-5)
    generate.generate(world, path, Wanted(3, label="20,-0.5"), out)
    if world.is_root:
        with h5py.File(out) as file:
            assert file["images"].shape == (3, 8, 8, 8, 1)
            assert file["labels"][:].tolist() == [[20, -0.5]] * 3
    with pytest.raises(ConfigError, match=r"--label 20: the labels of .* are 10 to 50, -1 to 1, 2"):
        generate.generate(world, path, Wanted(3, label="20"), out)


def _write_showers(path):
    """Write volumes with labels of an energy and something else."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file["images"] = rng.uniform(0, 1, (86, 8, 8, 8, 1)).astype(np.float32)
        file["images"].attrs["values"] = "scale:0.01,0"
        labels = np.stack([np.linspace(10, 50, 86), np.cos(np.linspace(0, 9.5, 86))], axis=1)
        labels[:2, 1] = -1, 1
        file["labels"] = labels.astype(np.float32)


def test_a_mixture_is_made_of_what_its_members_make_alone(world, shared_path):
    write = functools.partial(write_population, shared_path, [-1, 1])
    run_dir = Path(world.on_root(lambda: str(write())))
    population = ensemble.open_population(world, run_dir)
    fitted = ensemble.fit(world, population)
    alone = ensemble.fit(world.part(world.rank), population)
    for found in world.gather_json([list(each.weights.values()) for each in (fitted, alone)]):
        assert found[0] == list(fitted.weights.values())
        assert found[1] == pytest.approx(found[0], abs=2e-4)
    count = 2 * BLOCK + 3
    ensemble.generate(world, run_dir, Wanted(count, seed=9), shared_path / "all.h5")
    turns = Turns(np.rint(10_000 * np.array([*fitted.weights.values()])).astype(int))
    own = []
    for member in fitted.weights:
        path = checkpoint.path_of(run_dir / f"member_{member}" / "checkpoints", 1)
        found = checkpoint.read_together(world, functools.partial(checkpoint.read, path))
        own.append(generate.sample(world, found, Wanted(turns.made(member, count), 9 + member)))
    if world.is_root:
        source, number = turns.of(np.arange(count))
        expected = np.empty((count, 8, 8, 1), np.float32)
        for member, (images, _) in enumerate(own):
            expected[source == member] = images[number[source == member]]
        with h5py.File(shared_path / "all.h5") as file:
            assert np.array_equal(file["images"], to_dtype(expected, "uint8"))
