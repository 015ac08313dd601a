"""What a run decides at its start of labels and values, and keeps in its checkpoints."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcgan.checkpoint import read, write
from hpcgan.data.sample_info import SampleInfo
from hpcgan.errors import ConfigError, DataError
from hpcgan.world import World
from tests.training.run_place import Runs

CLASSES = ["--data.labels=labels", "--model.name=dcgan", "--model.condition=projection"]
VALUES = ["--data.labels=labels", "--model.name=volume", "--model.condition=regression"]


@pytest.fixture
def runs(world: World, data_file: Path) -> Runs:
    return Runs(world, data_file)


def label(data_file: Path, labels: np.ndarray, classes: list[str] | None = None) -> None:
    """Write the labels of the data."""
    with h5py.File(data_file, "a") as file:
        file.pop("labels", None)
        file["labels"] = labels
        if classes:
            file["labels"].attrs["classes"] = classes


def test_samples_are_counted_by_class_and_gaps_are_told(runs: Runs, data_file: Path) -> None:
    label(data_file, np.arange(40) % 3 * 2, ["a", "b", "c", "d", "e"])
    plan = runs.plan(*CLASSES, "--model.classes=6")
    assert plan.samples == SampleInfo("", ("a", "b", "c", "d", "e"), (14, 0, 13, 0, 13, 0))
    assert plan.remarks == [
        "no sample has 3 of the 6 classes: 1 (b), 3 (d), 5; they are not learnt, and generate "
        "leaves them out"
    ]


def test_held_out_samples_are_of_the_same_kind_and_others(runs: Runs, data_file: Path) -> None:
    held_out = data_file.with_name("held.h5")
    words = f"--evaluate.held_out=[{held_out}]"
    assert "held.h5: there is no such data file" in runs.refusal(DataError, words)
    for shape, is_good in (((5, 8, 8, 1), True), ((5, 8, 4, 1), False)):
        with h5py.File(held_out, "w") as file:
            file["images"] = np.zeros(shape, np.uint8)
        if is_good:
            held = runs.plan(words).held_out
            assert held is not None
            assert len(held) == 5
    said = runs.refusal(DataError, words)
    assert said.startswith(f"{held_out}: evaluate.held_out has samples ((8, 4, 1), 'uint8', '')")
    said = runs.refusal(ConfigError, f"--evaluate.held_out=[{data_file}]")
    assert said.startswith(f"{data_file}: is named in data.files and in evaluate.held_out")
    assert runs.plan().held_out is None


def test_without_gaps_or_classes_there_is_nothing_to_tell(runs: Runs, data_file: Path) -> None:
    label(data_file, np.arange(40) % 3 * 2)
    assert runs.plan("--data.labels=labels", "--data.partition=balanced").samples == SampleInfo()
    label(data_file, np.arange(40) % 4)
    plan = runs.plan(*CLASSES)
    assert (plan.samples.counts, plan.remarks) == ((10,) * 4, [])


def test_of_many_classes_no_counts_are_kept_which_is_told(runs: Runs, data_file: Path) -> None:
    label(data_file, np.arange(40))
    plan = runs.plan(*CLASSES, "--model.classes=100001")
    assert plan.samples == SampleInfo()
    (remark,) = plan.remarks
    assert remark.startswith("there are 100001 classes, and checkpoints keep which of them have")


@pytest.mark.parametrize("dtype", ["uint32", "int64"])
def test_a_label_that_no_class_can_have_is_one_line(
    runs: Runs, data_file: Path, dtype: str
) -> None:
    labels = np.zeros(40, dtype)
    labels[33] = 3_000_000_000
    label(data_file, labels)
    assert runs.refusal(DataError, *CLASSES) == (
        f"{data_file}: the label of sample 33 is 3000000000, and the classes of model.condition: "
        "projection are below 1000000; number them from 0, without gaps"
    )
    # Where they are no classes, they may be any.
    plan = runs.plan("--data.labels=labels", "--data.partition=balanced")
    assert plan.assignment.sizes == (40,)


def test_labels_of_several_values_have_a_range_each(runs: Runs, data_file: Path) -> None:
    labels = np.stack([np.linspace(2, 8, 40), np.linspace(-1, 1, 40)], axis=1)
    label(data_file, labels.astype(np.float32))
    assert runs.plan(*VALUES).config.model.label_range == [2, 8, -1, 1]
    refusal = runs.refusal(ConfigError, *VALUES, "--data.partition=balanced")
    assert refusal.startswith(f"data.partition is balanced, but 'labels' of {data_file} has 2 valu")
    assert runs.refusal(DataError, *CLASSES) == (
        f"{data_file}: the labels are no integers; model.condition: projection is for classes"
    )


def test_a_run_does_not_go_on_with_values_mapped_otherwise(runs: Runs, data_file: Path) -> None:
    path = runs.save(5)
    assert runs.plan().found is not None
    write(dataclasses.replace(read(path), samples=SampleInfo("scale:2,0")))
    refusal = runs.refusal(ConfigError)
    assert "the samples' values are mapped by: scale:2,0 -> nothing" in refusal
    assert "--allow-change" not in refusal
