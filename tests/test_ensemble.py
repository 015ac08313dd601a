"""Samples of a mixture of a population's members, and who is left out of it."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcgan import checkpoint, ensemble, population_commit
from hpcgan import generate as plain
from hpcgan.blocks import BLOCK
from hpcgan.config import ModelConfig
from hpcgan.errors import CheckpointError, ConfigError, DataError
from hpcgan.generation.form import Output
from hpcgan.generation.producer import Producer
from hpcgan.generation.sampler import Wanted
from hpcgan.population_commit import Commit
from hpcgan.turns import Turns
from hpcgan.world import World
from tests.populations import SAMPLES, SHAPE, write_population


class Numbered:
    """Makes samples that say which they are: (sampler, number)."""

    def __init__(self, sampler: int) -> None:
        self.sampler = sampler
        self.asked: list[int] = []

    def images(self, blocks: range, labels: np.ndarray) -> np.ndarray:
        self.asked += blocks
        numbers = np.arange(blocks.start * BLOCK, blocks.stop * BLOCK)
        assert labels.tolist() == (numbers % 10).tolist()
        return np.stack([np.full(len(numbers), self.sampler), numbers], axis=1)

    def labels(self, blocks: range) -> np.ndarray:
        return np.arange(blocks.start * BLOCK, blocks.stop * BLOCK) % 10


@pytest.mark.parametrize("proportions", [[10_000], [9000, 1000], [4000, 3000, 2999, 1]])
@pytest.mark.parametrize("count", [1, 5, BLOCK, 3 * BLOCK + 1])
def test_each_sampler_makes_its_own_first_samples_each_block_once(
    proportions: list[int], count: int
) -> None:
    samplers = [Numbered(each) for each in range(len(proportions))]
    turns = Turns(np.array(proportions))
    producer = Producer(samplers, turns)  # type: ignore[arg-type]
    size = 2 * BLOCK
    firsts = range(0, count, size)
    made = [producer.make(range(first, min(first + size, count))) for first in firsts]
    images = np.concatenate([images for images, _ in made])
    expected = np.stack(turns.of(np.arange(count)), axis=1)
    assert images.tolist() == expected.tolist()
    labels = np.concatenate([labels for _, labels in made])
    assert labels.tolist() == (expected[:, 1] % 10).tolist()
    for each in samplers:
        blocks = -(-turns.made(each.sampler, count) // BLOCK)
        assert each.asked == list(range(blocks))


def test_members_have_the_parts_that_the_held_out_data_ask_for(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = write_population(tmp_path, [-1, 1, 0])
    ensemble.generate(world, run_dir, Wanted(1000, seed=3), Output(tmp_path / "all.h5"))
    said = capsys.readouterr().out
    parts = [float(each) for each in re.findall(r"member \d (0\.\d{4})", said)]
    assert re.search(r"^proportions: member 0 0\.7\d{3}, member 1 0\.2\d{3}", said, re.MULTILINE)
    assert sum(parts) == pytest.approx(1)
    mixture, best = re.search(
        r"^frechet_pca64: mixture (\S+), best member \(0\) (\S+)$", said, re.MULTILINE
    ).groups()  # type: ignore[union-attr]
    assert float(mixture) < 0.5 * float(best)
    with h5py.File(tmp_path / "all.h5") as file:
        images = file["images"][:]
    assert (images.shape, images.dtype) == ((1000, *SHAPE), np.uint8)
    dark = images.reshape(1000, -1).mean(axis=1) < 100
    assert dark.sum() == pytest.approx(1000 * parts[0], abs=1)
    ensemble.generate(world, run_dir, Wanted(300, seed=3), Output(tmp_path / "few.npz", "flat"))
    few = np.load(tmp_path / "few.npz")["images"]
    assert np.array_equal(few, images[:300].reshape(300, -1))


def test_two_copies_of_a_network_do_not_make_the_same_samples(world: World, tmp_path: Path) -> None:
    run_dir = write_population(tmp_path, [0, 0])
    first, second = (run_dir / f"member_{k}" / "checkpoints" / "step_00000001.h5" for k in (0, 1))
    second.write_bytes(first.read_bytes())
    population = ensemble.open_population(world, run_dir)
    producer = ensemble.producer(world, population, {0: 0.5, 1: 0.5}, Wanted(40))
    images, _ = producer.make(range(40))
    assert len(np.unique(images.reshape(40, -1), axis=0)) == 40


CLASSES = ModelConfig(name="dcgan", latent_dim=6, width=2, condition="projection", classes=3)


def test_every_member_makes_all_classes_or_the_one_that_is_asked_for(
    world: World, tmp_path: Path
) -> None:
    run_dir = write_population(tmp_path, [-1, 1], model=CLASSES)
    population = ensemble.open_population(world, run_dir)
    weights = {0: 0.75, 1: 0.25}
    source, number = Turns(np.array([7500, 2500])).of(np.arange(60))
    for wanted, expected in ((Wanted(60), number % 3), (Wanted(60, label="2"), np.full(60, 2))):
        images, labels = ensemble.producer(world, population, weights, wanted).make(range(60))
        assert labels is not None
        assert labels.tolist() == expected.tolist()
        dark = images.reshape(60, -1).mean(axis=1) < 0
        assert dark.tolist() == (source == 0).tolist()
    with pytest.raises(ConfigError, match=r"--label 3: the labels of .*member_0.* are 0 to 2"):
        ensemble.generate(world, run_dir, Wanted(5, label="3"), Output(tmp_path / "a.h5"))
    assert not (tmp_path / "a.h5").exists()


def test_who_has_diverged_or_has_no_checkpoint_is_left_out(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = write_population(tmp_path, [-1, None, -1, float("nan")], held_out=False)
    commit = population_commit.read(run_dir)
    assert commit
    population_commit.write(run_dir, Commit(commit.config, 0, 1, (2,)))
    ensemble.generate(world, run_dir, Wanted(5), Output(tmp_path / "a.h5"))
    said = capsys.readouterr().out
    assert (
        "hpcgan: warning: members left out: 1 (no whole checkpoint), 2 (diverged), 3 (its samples "
        "are not finite)\n"
    ) in said
    assert "hpcgan: proportions are fitted by the data that they are trained on" in said
    assert "proportions: member 0 1.0000\n" in said
    path = checkpoint.path_of(run_dir / "member_0" / "checkpoints", 1)
    plain.generate(world, path, Wanted(5), Output(tmp_path / "b.h5"))
    with h5py.File(tmp_path / "a.h5") as one, h5py.File(tmp_path / "b.h5") as other:
        assert np.array_equal(one["images"], other["images"])


def test_a_population_of_which_nobody_is_left_is_refused(world: World, tmp_path: Path) -> None:
    run_dir = write_population(tmp_path, [None, float("nan")])
    with pytest.raises(CheckpointError, match=r"^no member can make samples: 0 \(no whole chec"):
        ensemble.generate(world, run_dir, Wanted(5), Output(tmp_path / "a.h5"))
    (run_dir / "member_1" / "checkpoints" / "step_00000001.h5").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"all: no member can make samples: 0 \(no whole c"):
        ensemble.generate(world, run_dir, Wanted(5), Output(tmp_path / "a.h5"))


def test_data_of_another_kind_are_refused(world: World, tmp_path: Path) -> None:
    run_dir = write_population(tmp_path, [0, 0], held_out=False)
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["images"] = np.zeros((SAMPLES, 8, 8, 3), np.uint8)
        file["labels"] = np.zeros(SAMPLES, np.int64)
    with pytest.raises(DataError, match=r"data\.h5: has samples .*8, 8, 3.* must agree$"):
        ensemble.generate(world, run_dir, Wanted(5), Output(tmp_path / "a.h5"))


def test_of_a_population_one_names_a_member_or_all(world: World, tmp_path: Path) -> None:
    run_dir = write_population(tmp_path, [0, None])
    with pytest.raises(ConfigError, match=r"name a member, .*member_0 say \(hpcgan generate --ens"):
        plain.generate(world, run_dir, Wanted(5), Output(tmp_path / "a.h5"))
    with pytest.raises(ConfigError, match=r"member_0: is no population's directory"):
        ensemble.generate(world, run_dir / "member_0", Wanted(5), Output(tmp_path / "a.h5"))
    with pytest.raises(CheckpointError, match=r"member_1: there is no whole checkpoint"):
        plain.generate(world, run_dir / "member_1", Wanted(5), Output(tmp_path / "a.h5"))
    plain.generate(world, run_dir / "member_0", Wanted(5), Output(tmp_path / "a.h5"))
    assert (tmp_path / "a.h5").exists()
