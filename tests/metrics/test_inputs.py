"""What the figures are made from: read whole, or refused in one line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcgan.checkpoint import GROUPS, Checkpoint, path_of, write
from hpcgan.config import Config, DataConfig, ModelConfig
from hpcgan.data.sample_info import SampleInfo
from hpcgan.errors import CheckpointError, DataError
from hpcgan.metrics.inputs import newest_checkpoint, open_samples, read_chunks
from hpcgan.world import World


def make_run(
    directory: Path,
    shape: tuple[int, ...],
    model: ModelConfig,
    samples: SampleInfo | None = None,
) -> Checkpoint:
    """Write the checkpoint of step 0 of a run, without variables; return it."""
    config = Config(data=DataConfig(["x.h5"], labels="labels", shards=1), model=model)
    checkpoints = directory / "checkpoints"
    directory.mkdir(exist_ok=True)
    groups: dict[str, dict[str, np.ndarray]] = {group: {} for group in GROUPS}
    fields = (config, shape, "uint8", "x", 0, 0, groups, (), samples or SampleInfo())
    made = Checkpoint(path_of(checkpoints, 0), 0, 0, *fields)
    write(made)
    return made


@pytest.fixture
def like(tmp_path: Path) -> Checkpoint:
    return make_run(tmp_path / "run", (4, 5, 1), ModelConfig())


@pytest.mark.parametrize("options", [{}, {"chunks": (3, 4, 5, 1), "compression": "gzip"}])
def test_samples_and_labels_are_those_of_the_file(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    like: Checkpoint,
    options: dict[str, object],
) -> None:
    monkeypatch.setattr("hpcgan.data.source.default_chunk", lambda sample_bytes, samples: 3)
    images = np.random.default_rng(0).integers(0, 256, (40, 4, 5, 1), np.uint8)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("pictures", data=images, **options)
        file["digits"] = np.arange(40) % 7
    data = DataConfig([str(tmp_path / "a.h5")], images="pictures", labels="digits")
    source = open_samples(world, data, like)
    read = [chunk.copy() for chunk in read_chunks(source)]
    assert {len(chunk) for chunk in read[:-1]} == {3}
    samples = np.concatenate(read)
    assert samples.dtype == np.uint8
    assert (samples == images).all()
    assert source.read_labels().tolist() == [number % 7 for number in range(40)]


def test_samples_of_another_shape_are_refused(
    world: World, data_file: Path, like: Checkpoint
) -> None:
    with pytest.raises(DataError) as caught:
        open_samples(world, DataConfig([str(data_file)]), like)
    assert caught.value.on_all_ranks
    assert str(caught.value) == (
        f"{data_file}: 'images' holds samples of shape (8, 8, 1), but those of {like.path} have "
        "shape (4, 5, 1)"
    )


def test_a_run_without_a_checkpoint_is_refused(world: World, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"there is no whole checkpoint$"):
        newest_checkpoint(world, tmp_path)


@pytest.fixture
def place(tmp_path: Path, data_file: Path) -> Path:
    """Return a directory with two runs, the data of one of them, and what is left of a file."""
    make_run(tmp_path / "digits", (8, 8, 1), ModelConfig())
    model = ModelConfig(name="volume", condition="regression", label_range=[1.0, 2.0])
    make_run(tmp_path / "calorimeter", (8, 8, 8, 1), model)
    with h5py.File(data_file, "r+") as file:
        file["labels"] = np.arange(40) % 10
    (tmp_path / "cut.h5").write_bytes(data_file.read_bytes())
    os.truncate(tmp_path / "cut.h5", 3000)
    return tmp_path


CASES = {
    "digits --real none.h5 --held-out data.h5": "none.h5: there is no such data file (seen from ",
    "digits --real cut.h5 --held-out data.h5": "cut.h5: not readable as HDF5: ",
    "digits --real data.h5 --held-out few.h5": (
        "few.h5: there is no dataset 'images'; its datasets are: labels"
    ),
    "digits --real data.h5 --held-out data.h5": (
        "digits/metrics.jsonl: there is no such journal of a run (seen from "
    ),
    "digits --real data.h5": "the following arguments are required: --held-out; see python -m ",
    "calorimeter --real none.h5": "none.h5: there is no such data file (seen from ",
    "calorimeter --real few.h5": "few.h5: there is no dataset 'images'; its datasets are: labels",
}

# All cases in one process, for which the long start is made once.
_ALL_CASES = """
import json, sys
from hpcgan.metrics import calorimeter, digits
for words in json.loads(sys.argv[1]):
    program, *options = words.split()
    sys.argv = [program, program, *options]
    main = {"calorimeter": calorimeter, "digits": digits}[program].main
    print("status", main(), file=sys.stderr)
"""


def test_what_is_missing_or_damaged_is_reported_in_one_line(python, place: Path) -> None:
    with h5py.File(place / "few.h5", "w") as file:
        file["labels"] = np.zeros(40, int)
    done = python("-c", _ALL_CASES, json.dumps(list(CASES)))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    said = done.stderr.splitlines()
    assert said[1::2] == ["status 2"] * len(CASES), done.stderr
    for (words, line), found in zip(CASES.items(), said[::2], strict=True):
        assert found.startswith(f"hpcgan.metrics.{words.split()[0]}: {line}")


@pytest.mark.parametrize("program", ["digits", "calorimeter"])
def test_the_programs_end_with_their_status(python, tmp_path: Path, program: str) -> None:
    files = ["--real", "x.h5", *(["--held-out", "x.h5"] if program == "digits" else [])]
    done = python("-m", f"hpcgan.metrics.{program}", "nowhere", *files)
    line = f"hpcgan.metrics.{program}: nowhere: there is no whole checkpoint\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)
