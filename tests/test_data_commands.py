"""Training on bad data, as its users see it: one line, once, and every rank ends."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from launching import only_line, start

SHAPE = (8, 8, 1)


def make(name: Path, count: int = 40, dtype: str = "u1", **options) -> Path:
    """Write a data file of random samples."""
    samples = np.random.default_rng(0).integers(0, 256, (count, *SHAPE)).astype(dtype)
    with h5py.File(name, "w") as file:
        file.create_dataset("images", data=samples, **options)
        file["labels"] = np.arange(count) % 10
    return name


def bad_cases(place: Path) -> dict[str, tuple[list[str], str]]:
    """Make bad files; return by name the options of each case and the beginning of its line."""
    good, wide = make(place / "good.h5"), place / "wide.h5"
    with h5py.File(wide, "w") as file:
        file["images"] = np.zeros((40, 9, 8, 1), np.uint8)
    cut = make(place / "cut.h5")
    os.truncate(cut, 3000)
    (place / "text.h5").write_text("a,b\n1,2\n")
    with h5py.File(place / "short.h5", "w") as file:
        file["images"] = np.zeros((40, *SHAPE), np.uint8)
        file["labels"] = np.zeros(39, int)
    with h5py.File(place / "empty.h5", "w") as file:
        file["images"] = np.zeros((0, *SHAPE), np.uint8)
    nan = make(place / "nan.h5", 40, "f4")
    with h5py.File(nan, "r+") as file:
        file["images"][33, 1, 2, 0] = np.nan
    assert good.exists()
    return {
        "truncated": (["--data.files=[good.h5,cut.h5]"], "cut.h5: not readable as HDF5: "),
        "wrong magic": (["--data.files=[text.h5]"], "text.h5: not readable as HDF5: "),
        "other shape": (
            ["--data.files=[good.h5,wide.h5]"],
            "wide.h5: 'images' holds uint8 samples of shape (9, 8, 1), but good.h5 holds uint8",
        ),
        "labels": (
            ["--data.files=[short.h5]", "--data.labels=labels"],
            "short.h5: dataset 'labels' has shape (39,); for 40 samples it must be (40,)",
        ),
        "empty": (["--data.files=[empty.h5]"], "empty.h5: there are no samples in 'images'"),
        "pattern": (["--data.files=[none-*.h5]"], "none-*.h5: no file has such a name (seen from "),
        "balanced": (
            ["--data.partition=balanced"],
            "config.yaml or command line: data.partition is balanced, which needs data.labels",
        ),
        "no stage": (
            ["--data.residency=stream", "--data.stage=good.h5/x"],
            "rank 0 of 2: good.h5/x: the data cannot be staged there (data.stage): Not a directory",
        ),
        "nan": (
            ["--data.files=[nan.h5]"],
            "rank 1 of 2: nan.h5: sample 33 of 'images' holds values that are not finite;",
        ),
        "full": (["--data.residency=stream", "--data.stage=disk"], ""),
    }


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a directory with a config."""
    (tmp_path / "config.yaml").write_text(
        "data: {files: [good.h5]}\nmodel: {latent_dim: 4}\n"
        "train: {steps: 200000, batch_size: 4}\n"
        "checkpoint: {every_steps: 10}\nlog: {every_steps: 10}\n"
    )
    return tmp_path


# All cases in one process a rank, for which the long start is made once. In the last of them a
# limit to the size of files stands for a full disk: the system refuses the same writes.
_ALL_CASES = """
import json, resource, sys
from hpcgan import cli
from hpcgan.world import World
rank = World().rank
for options in json.loads(sys.argv[1]):
    if "--data.stage=disk" in options:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    sys.argv = ["hpcgan", "train", "config.yaml", *options]
    status = cli.main()
    if rank == 0:
        print("status", status, file=sys.stderr, flush=True)
"""


def test_every_kind_of_bad_data_is_reported_once_by_two_ranks(python, place: Path) -> None:
    cases = bad_cases(place)
    before = {path.name for path in place.iterdir()} | {"disk"}
    options = [options for options, _ in cases.values()]
    done = python("-c", _ALL_CASES, json.dumps(options), ranks=2)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith(("hpcgan: ", "status "))]
    assert len(said) == 2 * len(cases), done.stderr
    for (name, (_, beginning)), line, status in zip(
        cases.items(), said[::2], said[1::2], strict=True
    ):
        assert status == "status 2", name
        if name == "full":
            assert "good.h5: cannot be staged to disk/hpcgan-stage-" in line
            assert line.endswith("(data.stage): File too large")
        else:
            assert line.startswith(f"hpcgan: {beginning}"), name
    assert {path.name for path in place.iterdir()} == before
    assert list((place / "disk").iterdir()) == []


def test_a_file_that_disappears_in_mid_run_ends_all_ranks_with_one_line(place: Path) -> None:
    make(place / "good.h5", 60)
    other = make(place / "other.h5", 60, chunks=(10, *SHAPE), compression="gzip")
    words = ["-m", "hpcgan", "train", "config.yaml", "--data.files=[good.h5,other.h5]"]
    words += ["--data.residency=stream", "--data.shuffle_chunks=1"]
    process = start(place, *words, ranks=2)
    checkpoints = place / "runs" / "hpcgan" / "checkpoints"
    deadline = time.monotonic() + 120
    while not (checkpoints / "step_00000020.h5").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)  # the run needs the cores
    other.unlink()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    line = only_line(errors)
    assert line.startswith("rank 1 of 2: after step ")
    assert "other.h5: samples " in line
    assert line.endswith(
        "cannot be read: No such file or directory; mend it, and the same command goes on from the "
        "newest checkpoint"
    )
    kept = sorted(path.name for path in checkpoints.iterdir())
    assert len(kept) == 3
    assert all(name.startswith("step_") and name.endswith(".h5") for name in kept)
