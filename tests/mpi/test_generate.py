"""Samples of a checkpoint, made by any number of ranks."""

from __future__ import annotations

import functools
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcgan import checkpoint, ensemble, generate
from hpcgan.blocks import BLOCK
from hpcgan.errors import ConfigError, RunError, Stopped
from hpcgan.gan import noise
from hpcgan.gan.state import State
from hpcgan.generation import sample_file
from hpcgan.generation.form import Output
from hpcgan.generation.producer import Producer
from hpcgan.generation.sampler import Wanted
from hpcgan.pictures import to_dtype
from hpcgan.training.stop import Request
from hpcgan.turns import Turns
from tests.mpi.small_runs import train, write_config
from tests.populations import write_population


def sample(world, found, wanted):
    """Return samples and labels of a checkpoint, as one rank makes them."""
    return Producer([generate.open_sampler(world, found, wanted)]).make(range(wanted.count))


def test_samples_do_not_depend_on_the_number_of_ranks(world, shared_path, small_run):
    path = checkpoint.path_of(small_run.directory / "checkpoints", 5)
    found = checkpoint.read(path)
    count = 2 * BLOCK + 3
    own = checkpoint.read_together(world, lambda: checkpoint.read(path))
    samples, labels = sample(world, own, Wanted(count, seed=9))
    generate.generate(world, path, Wanted(count, seed=9), Output(shared_path / "many.h5"))
    if not world.is_root:
        return
    assert labels is None
    with h5py.File(shared_path / "many.h5") as file:
        assert np.array_equal(file["images"], to_dtype(samples, "uint8"))
    state = State(found.config, found.sample_shape)
    state.load(found.groups, str(path))
    latents = np.concatenate([noise.sampling_latents(9, block, 6) for block in range(3)])
    expected = np.array(state.generator(latents[:count], training=False))
    np.testing.assert_allclose(samples, expected, atol=1e-6)


def test_a_conditional_run_learns_and_makes_the_labels_it_is_asked_for(world, shared_path):
    if world.size > 2:
        return  # two show what more ranks than one do; convolutions take long to compile
    model = {"name": "dcgan", "latent_dim": 6, "width": 4, "condition": "projection"}
    config = write_config(world, shared_path, model=model)
    options = ["--data.labels=labels", "--data.partition=balanced"]
    train(world, config, shared_path / "run", *options)
    path = checkpoint.path_of(shared_path / "run" / "checkpoints", 10)
    found = checkpoint.read_together(world, lambda: checkpoint.read(path))
    assert found.config.model.classes == 3
    drawn = [sample(world, found, Wanted(9, label=label)) for label in (None, "2")]
    (in_turn, labels), (twos, all_two) = drawn
    assert labels.tolist() == [0, 1, 2] * 3
    assert all_two.tolist() == [2] * 9
    same = [np.array_equal(one, two) for one, two in zip(in_turn, twos, strict=True)]
    assert same == [False, False, True] * 3
    generate.generate(world, path, Wanted(5), Output(shared_path / "samples.h5"))
    if world.is_root:
        with h5py.File(shared_path / "samples.h5") as file:
            assert file["images"].shape == (5, 8, 8, 1)
            assert file["labels"][:].tolist() == [0, 1, 2, 0, 1]
    with pytest.raises(ConfigError, match=r"--label 3: the labels of .* are 0 to 2"):
        generate.generate(world, path, Wanted(5, label="3"), Output(shared_path / "samples.h5"))


def test_networks_of_several_values_learn_and_make_what_they_are_asked_for(world, shared_path):
    if world.size > 2:
        return  # two show what more ranks than one do; convolutions take long to compile
    model = {"name": "volume", "latent_dim": 6, "width": 2, "condition": "regression"}
    config = write_config(world, shared_path, model=model)
    world.on_root(lambda: _write_showers(shared_path / "data.h5"))
    train(world, config, shared_path / "run", "--data.labels=labels", "--train.steps=2")
    path = checkpoint.path_of(shared_path / "run" / "checkpoints", 2)
    out = shared_path / "samples.h5"
    generate.generate(world, path, Wanted(BLOCK + 2), Output(out, "flat"))
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
    generate.generate(world, path, Wanted(3, label="20,-0.5"), Output(out))
    if world.is_root:
        with h5py.File(out) as file:
            assert file["images"].shape == (3, 8, 8, 8, 1)
            assert file["labels"][:].tolist() == [[20, -0.5]] * 3
    with pytest.raises(ConfigError, match=r"--label 20: the labels of .* are 10 to 50, -1 to 1, 2"):
        generate.generate(world, path, Wanted(3, label="20"), Output(out))


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
    own = world.part(world.rank)
    if world.is_root:
        assert ensemble.fit(own, population) == fitted
    assert sum(fitted.weights.values()) == pytest.approx(1)
    count = 2 * BLOCK + 3
    ensemble.generate(world, run_dir, Wanted(count, seed=9), Output(shared_path / "all.h5"))
    turns = Turns(np.rint(10_000 * np.array([*fitted.weights.values()])).astype(int))
    own = []
    for member in fitted.weights:
        path = checkpoint.path_of(run_dir / f"member_{member}" / "checkpoints", 1)
        found = checkpoint.read_together(world, functools.partial(checkpoint.read, path))
        own.append(sample(world, found, Wanted(turns.made(member, count), 9 + member)))
    if world.is_root:
        source, number = turns.of(np.arange(count))
        expected = np.empty((count, 8, 8, 1), np.float32)
        for member, (images, _) in enumerate(own):
            expected[source == member] = images[number[source == member]]
        with h5py.File(shared_path / "all.h5") as file:
            assert np.array_equal(file["images"], to_dtype(expected, "uint8"))


def test_parts_have_the_same_bytes_on_any_number_of_ranks_and_are_kept(
    world, shared_path, small_run, capfd
):
    path = checkpoint.path_of(small_run.directory / "checkpoints", 10)
    count, size = 5 * BLOCK + 3, 2 * BLOCK
    many, one = shared_path / "many", shared_path / f"one-{world.rank}"
    capfd.readouterr()
    generate.generate(world, path, Wanted(count, seed=9), Output(many, part_size=size))
    if world.is_root:
        hint = "of 4 ranks only 3 have one, of 512 samples; --part-size 256 gives one to each\n"
        assert (hint in capfd.readouterr().out) == (world.size == 4)
    alone = world.part(world.rank)
    generate.generate(alone, path, Wanted(count, seed=9), Output(one, part_size=size))
    names = ["index.h5", *(f"samples-00000{part}.h5" for part in range(3))]
    for each in (many, one):
        assert sorted(file.name for file in each.iterdir()) == names
    assert all((many / name).read_bytes() == (one / name).read_bytes() for name in names)
    world.barrier()
    if world.is_root:
        (many / names[1]).unlink()
        with (many / names[3]).open("r+b") as file:
            file.write(b"?")  # in HDF5's own header
    capfd.readouterr()
    world.barrier()
    generate.generate(world, path, Wanted(count, seed=9), Output(many, part_size=size))
    assert all((many / name).read_bytes() == (one / name).read_bytes() for name in names)
    if world.is_root:
        said = capfd.readouterr().out
        assert f"{many / names[3]}: damaged since, made again\n" in said
        assert f" samples={count - size} kept={size} " in said


def test_one_rank_that_is_asked_to_stop_stops_all_and_the_same_command_goes_on(
    world, shared_path, small_run, monkeypatch
):
    path = checkpoint.path_of(small_run.directory / "checkpoints", 10)
    count, size = 9 * BLOCK, BLOCK
    rank = world.size - 1
    request = Request(None, {})
    write = sample_file.write

    def write_one(*arguments):
        write(*arguments)
        if world.rank == rank:
            request.take("SIGUSR1")

    monkeypatch.setattr("hpcgan.generation.sample_file.write", write_one)
    wanted, output = Wanted(count, seed=9), Output(shared_path / "out", part_size=size)
    with pytest.raises(Stopped, match=rf"stopped by SIGUSR1 \(rank {rank}\); \d+ of {count} "):
        generate.generate(world, path, wanted, output, request)
    there = world.on_root(lambda: sorted(each.name for each in (shared_path / "out").iterdir()))
    assert f"samples-{rank:06d}.h5" in there
    assert len(there) < 9
    assert not [name for name in there if not name.startswith("samples-00000")]
    monkeypatch.undo()
    generate.generate(world, path, wanted, output)
    generate.generate(world, path, wanted, Output(shared_path / "whole.h5"))
    if world.is_root:
        names = shared_path / "out" / "index.h5", shared_path / "whole.h5"
        with h5py.File(names[0]) as parts, h5py.File(names[1]) as whole:
            assert np.array_equal(parts["images"], whole["images"])


def test_a_part_that_one_rank_cannot_write_ends_all_with_its_error(
    world, shared_path, small_run, monkeypatch
):
    path = checkpoint.path_of(small_run.directory / "checkpoints", 10)
    last = world.size - 1

    def refuse(out, *_):
        if world.rank == last:
            raise RunError(f"{out}: cannot be written")
        write(out, *_)

    write = sample_file.write
    monkeypatch.setattr("hpcgan.generation.sample_file.write", refuse)
    output = Output(shared_path / "out", part_size=BLOCK)
    with pytest.raises(RunError, match=rf"samples-{last:06d}\.h5: cannot be written") as caught:
        generate.generate(world, path, Wanted(9 * BLOCK), output)
    assert caught.value.on_all_ranks
    world.barrier()
    assert not (shared_path / "out" / "index.h5").exists()
