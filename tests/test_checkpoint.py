"""Checkpoints: exact, whole or refused, and never lost to a failure while they are written."""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcgan.checkpoint import (
    FORMAT,
    GROUPS,
    Checkpoint,
    newest,
    path_of,
    read,
    write,
)
from hpcgan.config import Config, DataConfig, LossConfig
from hpcgan.data.sample_info import SampleInfo
from hpcgan.errors import CheckpointError, RunError

ROOT = Path(__file__).parents[1]


def sample_checkpoint(directory: Path, step: int = 7) -> Checkpoint:
    """Return a small checkpoint whose arrays depend on ``step``."""
    return Checkpoint(
        path=path_of(directory, step),
        step=step,
        images=step * 64,
        config=Config(data=DataConfig(files=["a.h5"], shards=1)),
        sample_shape=(8, 8, 1),
        dtype="uint8",
        data="40 samples",
        rollbacks=1,
        discarded=5,
        groups={group: {"dense/kernel": np.full((2, 3), step, np.float32)} for group in GROUPS},
    )


def assert_same(one: Checkpoint, other: Checkpoint) -> None:
    """Check that two checkpoints hold the same, to the bit."""
    assert dataclasses.replace(one, groups={}) == dataclasses.replace(other, groups={})
    assert {group: list(named) for group, named in one.groups.items()} == {
        group: list(named) for group, named in other.groups.items()
    }
    for group, named in one.groups.items():
        for name, array in named.items():
            found = other.groups[group][name]
            assert (array.dtype, array.shape) == (found.dtype, found.shape)
            assert array.tobytes() == found.tobytes()


def refusal(path: Path) -> str:
    """Return what ``read`` says of a file; check that it is one line that names the file."""
    with pytest.raises(CheckpointError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_what_is_written_is_read_again_to_the_bit(tmp_path: Path) -> None:
    dtypes = ["float16", "float32", "float64", "int8", "uint8", "int32", "int64", "uint32", "bool"]
    arrays = {
        "layer/" + dtype: (np.arange(12).reshape(3, 2, 2) - 5).astype(dtype) for dtype in dtypes
    }
    arrays["no/dimension"] = np.array(41, np.int64)
    arrays["no/elements"] = np.zeros((0, 3), np.float32)
    arrays["special"] = np.array([np.nan, -np.nan, np.inf, -np.inf, -0.0, 1e-45], np.float32)
    ordered = {name: arrays[name] for name in sorted(arrays)}
    written = Checkpoint(
        path=tmp_path / "made on writing" / "any name.h5",
        step=3,
        images=2**40,
        config=Config(
            data=DataConfig(files=["größe.h5", "1e3", "数.h5"], labels=None, shards=None),
            name="~ 'two' \"lines\"\n",
            loss=LossConfig(name="minimax"),
        ),
        sample_shape=(4, 8, 8, 2),
        dtype="float32",
        data="40 samples",
        rollbacks=1,
        discarded=5,
        groups={group: dict(ordered) for group in GROUPS[:-1]} | {GROUPS[-1]: {}},
        fingerprints=("0123456789abcdef", "fedcba9876543210"),
        samples=SampleInfo("log10:0.001", ("größe", "数")),
    )
    write(written)
    assert_same(read(written.path), written)


def test_other_programs_find_what_the_contract_promises(tmp_path: Path) -> None:
    written = sample_checkpoint(tmp_path)
    write(written)
    with h5py.File(written.path) as file:
        assert sorted(file) == sorted(GROUPS)
        assert (file.attrs["format"], file.attrs["step"], file.attrs["images"]) == (FORMAT, 7, 448)
        assert "files:\n  - a.h5\n" in file.attrs["config"]
        assert file["generator/dense/kernel"][:].tolist() == [[7.0] * 3] * 2


def damages(content: bytes) -> list[bytes]:
    """Return the content with bits flipped, stretches zeroed or repeated, and ends cut off."""
    chance = random.Random(0)
    places = [*range(0, 700, 7), *chance.choices(range(len(content)), k=300)]
    damaged = []
    for place in places:
        after = place + chance.randrange(1, 600)
        flipped = content[place] ^ (1 << chance.randrange(8))
        stretch = content[place:after]
        damaged += [
            content[:place] + bytes([flipped]) + content[place + 1 :],
            content[:place] + bytes(len(stretch)) + content[after:],
            content[:place] + stretch + content[place:],
            content[:place],
        ]
    return [*(each for each in damaged if each != content), b"", content + b"\0", content * 2]


def test_a_damaged_checkpoint_is_refused_wherever_the_damage_is(tmp_path: Path) -> None:
    # HDF5 alone reads some of these without a complaint and hangs on others.
    written = sample_checkpoint(tmp_path)
    write(written)
    content = written.path.read_bytes()
    damaged = tmp_path / "damaged.h5"
    cases = damages(content)
    assert len(cases) > 1000
    for case in cases:
        damaged.write_bytes(case)
        assert "damaged" in refusal(damaged)
    assert_same(read(written.path), written)


def test_other_files_are_refused(tmp_path: Path, data_file: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not HDF5\n" * 100)
    for path in (data_file, text):
        assert refusal(path).endswith(f"not a checkpoint of hpcgan ({FORMAT})")
    for path in (tmp_path / "missing.h5", tmp_path):
        assert refusal(path) == f"{path}: there is no such checkpoint"


def test_a_checkpoint_of_an_unknown_format_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = sample_checkpoint(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("hpcgan.checkpoint.FORMAT", "hpcgan-checkpoint-10")
        write(written)
        read(written.path)
    assert refusal(written.path).endswith("not a checkpoint of hpcgan (hpcgan-checkpoint-1)")


def test_the_newest_is_that_of_the_most_steps(tmp_path: Path) -> None:
    for step in (99_999_999, 100_000_000, 5):
        write(sample_checkpoint(tmp_path, step))
    (tmp_path / "step_200000000.h5.partial").write_bytes(b"half")
    (tmp_path / "step_200000000.h5.superseded").write_bytes(b"aside")
    found, warnings = newest(tmp_path)
    assert found is not None
    assert (found.step, warnings) == (100_000_000, [])


def test_a_damaged_newest_is_passed_over_with_a_warning(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        write(sample_checkpoint(tmp_path, step))
    content = path_of(tmp_path, 3).read_bytes()
    path_of(tmp_path, 3).write_bytes(content[:-1])
    path_of(tmp_path, 4).write_bytes(b"")
    found, warnings = newest(tmp_path)
    assert found is not None
    assert found.step == 2
    assert [warning.split(": ")[0] for warning in warnings] == [
        str(path_of(tmp_path, 4)),
        str(path_of(tmp_path, 3)),
    ]
    assert all(warning.endswith("; trying the one before") for warning in warnings)


def test_what_holds_another_step_than_its_name_says_is_passed_over(tmp_path: Path) -> None:
    write(sample_checkpoint(tmp_path, 5))
    shutil.copy(path_of(tmp_path, 5), path_of(tmp_path, 900))
    found, warnings = newest(tmp_path)
    assert found is not None
    assert found.path == path_of(tmp_path, 5)
    assert warnings == [
        f"{path_of(tmp_path, 900)}: is the checkpoint of step 5; trying the one before"
    ]


def test_a_run_directory_that_is_gone_does_not_come_back_by_a_checkpoint(tmp_path: Path) -> None:
    written = sample_checkpoint(tmp_path / "run" / "checkpoints")
    with pytest.raises(RunError, match=r"cannot be written: No such file or directory"):
        write(written)
    assert not (tmp_path / "run").exists()


def test_where_no_checkpoint_is_there_is_no_newest(tmp_path: Path) -> None:
    assert newest(tmp_path) == (None, [])
    assert newest(tmp_path / "missing") == (None, [])


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file where the directory should be")
    checkpoint = sample_checkpoint(tmp_path / "checkpoints")
    with pytest.raises(RunError) as caught:
        write(checkpoint)
    assert str(caught.value) == (
        f"{checkpoint.path}: cannot be written: File exists; choose another place"
    )
    assert (tmp_path / "checkpoints").is_file()


@pytest.fixture
def start() -> Callable[[str, Path], subprocess.Popen[str]]:
    """Return a function that starts Python code, whose ``sys.argv[1]`` is a directory."""

    def run(code: str, directory: Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", code, str(directory)],
            env=dict(os.environ) | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from hpcgan.errors import RunError
from test_checkpoint import sample_checkpoint, write
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    write(sample_checkpoint(Path(sys.argv[1])))
except RunError as error:
    print(error)
"""


def test_a_write_that_fails_half_way_leaves_the_old_content(
    tmp_path: Path, start: Callable[[str, Path], subprocess.Popen[str]]
) -> None:
    old = dataclasses.replace(sample_checkpoint(tmp_path), images=1)
    write(old)
    assert old.path.stat().st_size > 5000
    said, errors = start(FULL_DISK, tmp_path).communicate(timeout=60)
    assert said == (
        f"{old.path}: cannot be written: File too large; make room for it or choose another place\n"
    ), errors
    assert_same(read(old.path), old)
    assert list(tmp_path.iterdir()) == [old.path]


WRITE_FOR_EVER = """
import itertools, sys
from pathlib import Path
from hpcgan.checkpoint_directory import prune
from test_checkpoint import sample_checkpoint, write
for step in itertools.count(1):
    written = sample_checkpoint(Path(sys.argv[1]), step)
    write(written)
    prune(written.path, 2)
    print(step, flush=True)
"""


@pytest.mark.parametrize("writes", [1, 2, 7])
def test_the_newest_of_a_killed_run_is_whole(
    tmp_path: Path, start: Callable[[str, Path], subprocess.Popen[str]], writes: int
) -> None:
    with start(WRITE_FOR_EVER, tmp_path) as process:
        assert process.stdout is not None
        reported = [int(process.stdout.readline()) for _ in range(writes)]
        process.kill()
        reported += [int(line) for line in process.stdout.read().split()]
    found, warnings = newest(tmp_path)
    assert found is not None
    assert found.step in (reported[-1], reported[-1] + 1)  # it may die before it reports
    assert warnings == []
    assert_same(found, sample_checkpoint(tmp_path, found.step))


def test_a_half_written_file_is_never_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    rename, sync = Path.replace, os.fsync

    def record_and_sync(descriptor: int) -> None:
        seen.append(sorted(path.name for path in tmp_path.iterdir()))
        sync(descriptor)

    def record_and_rename(self: Path, target: Path) -> Path:
        seen.append(sorted(path.name for path in tmp_path.iterdir()))
        # All of it is there before it has its name.
        assert_same(read(self), dataclasses.replace(sample_checkpoint(tmp_path), path=self))
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", record_and_sync)
    monkeypatch.setattr(Path, "replace", record_and_rename)
    write(sample_checkpoint(tmp_path))
    half, whole = ["step_00000007.h5.partial"], ["step_00000007.h5"]
    assert seen == [half, half, whole]  # the file to the disk, its name, the name to the disk
