"""A directory of parts: what it keeps, refuses and replaces, and that nothing of others is lost."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcgan.blocks import BLOCK
from hpcgan.config import DataConfig
from hpcgan.data.source import open_source
from hpcgan.errors import ConfigError, RunError
from hpcgan.generate import generate
from hpcgan.generation.form import Output
from hpcgan.generation.sampler import Wanted
from hpcgan.training import lock
from hpcgan.world import World

COUNT = 3 * BLOCK + 5
WANTED = Wanted(COUNT, seed=4)


@pytest.fixture(scope="module")
def made(world: World, plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory of two parts."""
    out = tmp_path_factory.mktemp("made") / "samples"
    generate(world, plain, WANTED, Output(out, part_size=2 * BLOCK))
    return out


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Output:
    """Return a copy of it."""
    shutil.copytree(made, tmp_path / "samples")
    return Output(tmp_path / "samples", part_size=2 * BLOCK)


def content(directory: Path) -> dict[str, bytes]:
    """Return all files of a directory."""
    return {each.name: each.read_bytes() for each in directory.iterdir()}


def test_the_index_can_be_trained_on_wherever_it_is(
    world: World, plain: Path, made: Path, out: Output, tmp_path: Path
) -> None:
    generate(world, plain, WANTED, Output(tmp_path / "whole.h5"))
    moved = out.path.rename(tmp_path / "moved")
    with h5py.File(moved / "index.h5") as index, h5py.File(tmp_path / "whole.h5") as whole:
        assert index["images"].is_virtual
        assert np.array_equal(index["images"], whole["images"])
    for files in (["index.h5"], ["samples-000000.h5", "samples-000001.h5"]):
        source = open_source(world, DataConfig([str(moved / name) for name in files]))
        assert (len(source), source.sample_shape, source.dtype) == (COUNT, (8, 8, 1), "uint8")


def test_what_is_there_is_not_made_again(
    world: World, plain: Path, made: Path, out: Output, capsys: pytest.CaptureFixture[str]
) -> None:
    generate(world, plain, WANTED, out)
    assert content(out.path) == content(made)
    assert f" samples=0 kept={COUNT} " in capsys.readouterr().out


@pytest.mark.parametrize("victim", ["index.h5", "samples-000000.h5", "samples-000001.h5"])
def test_what_is_missing_is_made_again_and_what_a_kill_left_is_gone(
    world: World, plain: Path, made: Path, out: Output, victim: str
) -> None:
    (out.path / victim).rename(out.path / f"{victim}.partial")
    generate(world, plain, WANTED, out)
    assert content(out.path) == content(made)


@pytest.mark.parametrize(
    ("wanted", "change", "said"),
    [
        (replace(WANTED, seed=5), {}, r"other samples \(seed 4, not 5\); name another directory"),
        (replace(WANTED, count=5), {}, rf"other samples \(count {COUNT}, not 5\)"),
        (WANTED, {"part_size": BLOCK}, r"other samples \(part size 512, not 256\)"),
        (WANTED, {"threshold": 3.0}, r"other samples \(threshold None, not 3.0\)"),
        (WANTED, {"layout": "flat"}, r"other samples \(layout hpcgan, not flat\)"),
        (WANTED, {"compression": "gzip"}, r"other samples \(compression none, not gzip\)"),
    ],
)
def test_parts_of_other_samples_stay_unless_they_may_be_replaced(
    world: World, plain: Path, made: Path, out: Output, wanted: Wanted, change: dict, said: str
) -> None:
    other = replace(out, **change)
    with pytest.raises(ConfigError, match=rf"samples-00000\d\.h5: is a part of {said}"):
        generate(world, plain, wanted, other)
    assert content(out.path) == content(made)
    generate(world, plain, wanted, replace(other, overwrite=True))
    with h5py.File(out.path / "index.h5") as index:
        assert len(index["images"]) == wanted.count
    parts = -(-wanted.count // (other.part_size or 1))
    assert len(content(out.path)) == parts + 1


def test_a_directory_with_other_files_is_refused(
    world: World, plain: Path, made: Path, out: Output
) -> None:
    (out.path / "notes.txt").write_text("mine")
    before = content(out.path)
    with pytest.raises(ConfigError, match=r"samples: holds other files \(notes\.txt\); name a dir"):
        generate(world, plain, WANTED, replace(out, overwrite=True))
    assert content(out.path) == before


def test_two_commands_do_not_write_the_same_parts(
    world: World, plain: Path, made: Path, out: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    (out.path / "samples-000001.h5").rename(out.path / "samples-000001.h5.partial")
    monkeypatch.setattr(lock, "PATIENCE", 0.0)
    other = lock.RunLock(out.path)
    other.take()
    before = content(out.path)
    with pytest.raises(RunError, match=r"samples: another run \(process .*\) writes here; wait "):
        generate(world, plain, WANTED, out)
    assert content(out.path) == before
    other.release()
    generate(world, plain, WANTED, out)
    assert content(out.path) == content(made)


def test_a_file_of_the_name_of_a_part_that_is_none_is_not_lost(
    world: World, plain: Path, made: Path, out: Output
) -> None:
    (out.path / "samples-000001.h5").write_text("mine")
    before = content(out.path)
    with pytest.raises(ConfigError, match=r"000001\.h5: is damaged, or no part that hpcgan wrote"):
        generate(world, plain, WANTED, out)
    assert content(out.path) == before
    generate(world, plain, WANTED, replace(out, overwrite=True))
    assert content(out.path) == content(made)


def test_room_is_looked_for_before_anything_is_made(
    world: World, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=64 * COUNT - 1)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    for out in (tmp_path / "out", tmp_path / "out.h5"):
        with pytest.raises(RunError, match=r"out.*: needs 49.5 kB, and 49.5 kB are free"):
            generate(world, plain, WANTED, Output(out))
    assert not list(tmp_path.rglob("*.h5"))
