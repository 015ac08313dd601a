"""What is decided and refused before a run starts."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest

from hpcgan.config import Config, DataConfig, ParallelConfig
from hpcgan.errors import CheckpointError, ConfigError, DataError
from hpcgan.training import resolving
from hpcgan.training.plan import prepare
from hpcgan.world import World
from tests.training.run_place import Runs


@pytest.fixture
def runs(world: World, data_file: Path) -> Runs:
    return Runs(world, data_file)


def test_a_new_run_has_one_shard_per_rank(runs: Runs) -> None:
    plan = runs.plan()
    assert plan.config.data.shards == 1
    assert plan.assignment.hosted == range(1)
    assert (plan.found, plan.is_finished) == (None, False)
    assert plan.run_dir == runs.directory
    assert not runs.directory.exists()


def test_the_run_directory_follows_from_the_name(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = prepare(runs.world, str(runs.config), [], None, "auto")
    assert plan.run_dir == Path("runs/small")


def test_a_rank_alone_hosts_all_shards(runs: Runs) -> None:
    assignment = runs.plan("--data.shards=3").assignment
    assert assignment.hosted == range(3)
    assert assignment.sizes == (13, 13, 14)


def test_the_images_of_a_step_are_those_of_all_shards_and_discriminator_steps(runs: Runs) -> None:
    plan = runs.plan(
        "--data.shards=3", "--train.update=alternating", "--train.discriminator_steps=2"
    )
    assert plan.images_per_step == 4 * 2 * 3


def test_a_resumed_run_has_the_shards_of_its_checkpoint(runs: Runs) -> None:
    runs.save(5, shards=3)
    plan = runs.plan()
    assert plan.config.data.shards == 3
    assert plan.assignment.hosted == range(3)
    assert plan.found is not None
    assert plan.found.step == 5


def test_other_shards_than_the_checkpoints_are_refused(runs: Runs) -> None:
    path = runs.save(5, shards=3)
    message = runs.refusal(ConfigError, "--data.shards=2")
    assert message.startswith(
        f"{path} is of a run with another configuration (data.shards: 3 -> 2)"
    )


def test_what_was_decided_about_the_data_stays_when_the_run_goes_on(runs: Runs) -> None:
    layout = runs.plan("--data.shuffle=chunks").data
    assert re.fullmatch(r"40 samples in 1 chunks \(layout [0-9a-f]{12}\)", layout)
    runs.save(5, "--data.shuffle=chunks", "--data.align=true", data=layout)
    for residency in ("memory", "node", "stream"):
        plan = runs.plan(f"--data.residency={residency}")
        assert (plan.config.data.shuffle, plan.config.data.align) == ("chunks", True)
        assert plan.assignment.placement == residency
    message = runs.refusal(ConfigError, "--data.shuffle=samples")
    assert "(data.shuffle: chunks -> samples)" in message


def test_a_run_does_not_go_on_with_another_staleness_but_with_another_word_for_it(
    runs: Runs,
) -> None:
    runs.save(5)
    message = runs.refusal(ConfigError, "--train.staleness=1")
    assert "(train.staleness: 0 -> 1)" in message
    assert "--allow-change" not in message
    runs.plan("--train.staleness=0")


def test_a_run_does_not_go_on_with_other_data(runs: Runs) -> None:
    runs.save(5, data="41 samples")
    assert "(data: 41 samples -> 40 samples)" in runs.refusal(ConfigError)


def test_learning_rates_change_only_with_leave_and_are_recorded(runs: Runs) -> None:
    runs.save(5)
    overrides = ["--optimizer.generator.learning_rate=0.5", "--train.steps=20"]
    change = "optimizer.generator.learning_rate: 0.0002 -> 0.5"
    message = runs.refusal(ConfigError, *overrides)
    assert f"({change})" in message
    assert message.endswith(", or --allow-change")
    plan = runs.plan(*overrides, allow=True)
    assert plan.changes == [change, "train.steps: 10 -> 20"]
    assert "--allow-change" not in runs.refusal(ConfigError, *overrides, "--seed=1")
    with pytest.raises(ConfigError, match=r"\(seed: 0 -> 1\)"):
        runs.plan(*overrides, "--seed=1", allow=True)


def test_steps_that_set_the_decay_change_only_with_leave(runs: Runs) -> None:
    decay = "--optimizer.decay=linear"
    path = runs.save(5, decay)
    message = runs.refusal(ConfigError, decay, "--train.steps=20")
    assert message == (
        f"{path} is of a run with another configuration (train.steps: 10 -> 20, which "
        "optimizer.decay follows); choose another --run-dir, or --resume never to start again, or "
        "--allow-change"
    )
    assert runs.plan(decay).changes == []
    plan = runs.plan(decay, "--train.steps=20", allow=True)
    assert plan.changes == ["train.steps: 10 -> 20"]


def write_samples(path: Path, seed: int) -> None:
    """Write 40 random samples."""
    with h5py.File(path, "w") as file:
        file["images"] = np.random.default_rng(seed).integers(0, 256, (40, 8, 8, 1), np.uint8)


def test_a_data_file_with_other_content_is_refused_by_its_name_and_recorded_with_leave(
    runs: Runs,
) -> None:
    path = runs.save(5, fingerprints=runs.plan().fingerprints)
    assert runs.plan().changes == []
    moved = runs.data.rename(runs.data.with_name("moved.h5"))
    elsewhere = f"--data.files=[{moved}]"
    assert runs.plan(elsewhere).changed_data == []
    write_samples(moved, 1)
    message = runs.refusal(ConfigError, elsewhere)
    assert message == (
        f"{path} is of a run with another configuration (data.files: other content in {moved}); "
        "choose another --run-dir, or --resume never to start again, or --allow-change"
    )
    changes = runs.plan(elsewhere, allow=True).changes
    assert changes[-1] == f"data.files: other content in {moved}"


def test_of_many_data_files_that_differ_some_are_named(runs: Runs) -> None:
    names = []
    for number in range(5):
        names.append(str(runs.data.with_name(f"part-{number}.h5")))
        with h5py.File(names[-1], "w") as file:
            file["images"] = np.full((8, 8, 8, 1), number, np.uint8)
    parts = f"--data.files=[{', '.join(names)}]"
    now = runs.plan(parts).fingerprints
    runs.save(5, fingerprints=(now[0], *("0" * 16 for _ in names[1:])))
    assert runs.plan(parts, allow=True).changed_data == [
        f"data.files: other content in {names[1]}, {names[2]}, {names[3]} and 1 more"
    ]
    runs.save(5, fingerprints=now[:4])
    assert runs.plan(parts, allow=True).changed_data == ["data.files: 4 files -> 5"]


def test_a_run_that_shuffles_one_by_one_is_not_streamed(runs: Runs) -> None:
    runs.save(5)
    assert runs.refusal(ConfigError, "--data.residency=stream") == (
        f"{runs.data}: the run began with data.shuffle: samples, which cannot be streamed; use "
        "--data.residency memory or node"
    )


def test_too_few_samples_are_refused_with_their_file(runs: Runs) -> None:
    message = runs.refusal(DataError, "--data.shards=41")
    assert message.startswith(f"{runs.data}: 40 samples cannot be divided into 41 shards ")
    assert runs.plan("--data.shards=40", "--train.batch_size=1").assignment.hosted == range(40)


def test_a_batch_larger_than_the_smallest_shard_is_refused(runs: Runs) -> None:
    message = runs.refusal(ConfigError, "--data.shards=3", "--train.batch_size=14")
    assert message.startswith(
        f"train.batch_size is 14, but a shard of {runs.data} holds 13 samples (40 in 3 shards)"
    )
    runs.plan("--data.shards=3", "--train.batch_size=13")


@pytest.mark.parametrize(
    ("key", "value", "change"),
    [
        ("seed", "1", "seed: 0 -> 1"),
        ("model.name", "dcgan", "model.name: mlp -> dcgan"),
        ("model.latent_dim", "7", "model.latent_dim: 100 -> 7"),
        ("loss.name", "minimax", "loss.name: non_saturating -> minimax"),
        ("train.batch_size", "8", "train.batch_size: 4 -> 8"),
        ("optimizer.generator.beta_1", "0.25", "optimizer.generator.beta_1: 0.5 -> 0.25"),
    ],
)
def test_another_run_is_not_resumed(runs: Runs, key: str, value: str, change: str) -> None:
    path = runs.save(5)
    assert runs.refusal(ConfigError, f"--{key}={value}") == (
        f"{path} is of a run with another configuration ({change}); choose another --run-dir, or "
        "--resume never to start again"
    )


def test_all_keys_that_differ_are_named(runs: Runs) -> None:
    runs.save(5)
    message = runs.refusal(ConfigError, "--seed=1", "--loss.name=minimax")
    assert "(seed: 0 -> 1; loss.name: non_saturating -> minimax)" in message


def test_data_of_another_shape_is_not_gone_on_with(runs: Runs) -> None:
    runs.save(5)
    with h5py.File(runs.data, "w") as file:
        file["images"] = np.zeros((40, 8, 8, 3), np.float32)
    message = runs.refusal(ConfigError)
    assert "(samples: (8, 8, 1) uint8 -> (8, 8, 3) float32)" in message


def test_the_number_of_steps_may_change(runs: Runs) -> None:
    runs.save(5)
    assert runs.plan("--train.steps=20").config.train.steps == 20


@pytest.mark.parametrize(("steps", "finished"), [(4, True), (5, True), (6, False)])
def test_a_run_is_finished_when_its_checkpoint_has_all_steps(
    runs: Runs, steps: int, finished: bool
) -> None:
    runs.save(5)
    assert runs.plan(f"--train.steps={steps}").is_finished is finished


def test_auto_goes_on_from_the_newest_whole_checkpoint_and_warns(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.save(5)
    damaged = runs.save(6)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    plan = runs.plan()
    assert plan.found is not None
    assert plan.found.step == 5
    assert capsys.readouterr().out == (
        f"hpcgan: warning: {damaged}: damaged: its content does not fit its checksum; trying the "
        "one before\n"
    )


def test_auto_never_starts_again_over_damaged_checkpoints(runs: Runs) -> None:
    paths = [runs.save(5), runs.save(6)]
    for path in paths:
        path.write_bytes(b"")
    assert runs.refusal(CheckpointError) == (
        f"{runs.directory}: none of its checkpoints is whole; --resume never starts again"
    )
    assert all(path.exists() for path in paths)


def test_a_path_to_go_on_from_may_begin_with_a_variable(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = runs.save(5)
    monkeypatch.setenv("HERE", str(path.parent))
    found = runs.plan(resume=f"$HERE/{path.name}").found
    assert found
    assert found.step == 5


def test_never_starts_another_run_where_one_was(runs: Runs) -> None:
    runs.save(5)
    assert runs.plan("--seed=1", resume="never").config.seed == 1


def _labelled(runs: Runs, data_file: Path, labels: np.ndarray, condition: str) -> list[str]:
    """Write labels to the data and return the options of networks that take them."""
    with h5py.File(data_file, "a") as file:
        file.pop("labels", None)
        file["labels"] = labels
    name = "volume" if condition == "regression" else "dcgan"
    return ["--data.labels=labels", f"--model.name={name}", f"--model.condition={condition}"]


def test_classes_are_counted_and_stay_when_the_run_goes_on(runs: Runs, data_file: Path) -> None:
    options = _labelled(runs, data_file, np.arange(40) % 7, "projection")
    assert runs.plan(*options).config.model.classes == 7
    runs.save(10, *options, "--model.classes=7")
    options = _labelled(runs, data_file, np.arange(40) % 5, "projection")
    assert runs.plan(*options).config.model.classes == 7


def test_real_labels_have_the_range_of_the_data(runs: Runs, data_file: Path) -> None:
    options = _labelled(runs, data_file, np.linspace(2, 8, 40, dtype=np.float32), "regression")
    assert runs.plan(*options).config.model.label_range == [2, 8]


def test_labels_that_do_not_fit_the_condition_are_refused_with_their_file(
    runs: Runs, data_file: Path
) -> None:
    options = _labelled(runs, data_file, np.zeros(40, np.float32), "auxiliary")
    assert runs.refusal(DataError, *options).startswith(f"{data_file}: the labels are no integers")


def test_volumes_are_not_augmented(runs: Runs, data_file: Path) -> None:
    with h5py.File(data_file, "a") as file:
        file["volumes"] = np.zeros((40, 8, 8, 8, 1), np.float32)
    refusal = runs.refusal(ConfigError, "--data.images=volumes", "--train.augment=[cutout]")
    assert refusal.startswith("train.augment is ['cutout'], which is for samples (H, W, C)")


def test_a_configuration_that_no_checkpoint_can_hold_is_refused(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpcgan.training.plan.MOST_TEXT", 1000)
    message = runs.refusal(ConfigError)
    assert re.search(r"has \d+ bytes, and a checkpoint holds 1000; name the 1 data.files", message)


def test_a_population_is_no_single_run(runs: Runs) -> None:
    with pytest.raises(ConfigError, match=r"^parallel\.population is 3: hpcgan train alone"):
        runs.plan("--parallel.population=3")


@pytest.mark.parametrize(("ranks", "kept"), [(3, 2), (4, None)])
def test_a_division_of_split_stays_for_as_many_ranks(ranks: int, kept: int | None) -> None:
    data = DataConfig(files=["a.h5"], shards=4)
    open_one = Config(data=data, parallel=ParallelConfig(mode="split"))
    made = replace(open_one, parallel=ParallelConfig(mode="split", generator_ranks=2))
    found: Any = SimpleNamespace(ranks=3, config=made)
    resolved = resolving.with_generator_ranks(open_one, found, ranks)
    assert resolved.parallel.generator_ranks == kept
    given = replace(open_one, parallel=ParallelConfig(mode="split", generator_ranks=1))
    assert resolving.with_generator_ranks(given, found, ranks) == given
