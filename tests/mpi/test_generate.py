"""Samples of a checkpoint, made by any number of ranks."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from hpcgan import checkpoint, generate
from hpcgan.errors import ConfigError
from hpcgan.gan import noise
from hpcgan.gan.state import State
from hpcgan.generate import Wanted
from hpcgan.pictures import to_dtype
from tests.mpi.small_runs import train, write_config


def test_samples_do_not_depend_on_the_number_of_ranks(world, shared_path, small_run):
    path = checkpoint.path_of(small_run.directory / "checkpoints", 5)
    found = checkpoint.read(path)
    count = 2 * noise.BLOCK + 3
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
