"""One run at a time in a directory."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from hpcgan.errors import RunError, Stopped
from hpcgan.training import lock
from hpcgan.training.lock import RunLock, is_at, only_run
from hpcgan.world import World


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATIENCE", 0.0)


def refuses(world: World, run: Path) -> bool:
    """Return whether a second run is refused in a directory."""
    try:
        with only_run(world, run):
            return False
    except RunError as error:
        message = f"another run (process {os.getpid()} on "
        return error.on_all_ranks and message in str(error)


def test_a_second_run_in_a_directory_is_refused_and_one_after_it_is_not(
    world: World, tmp_path: Path
) -> None:
    run = tmp_path / "new" / "run"
    with only_run(world, run):
        (run / "file").touch()
        assert refuses(world, run)
        assert not refuses(world, tmp_path / "other")
    assert not refuses(world, run)


def test_an_error_of_all_ranks_lets_go_and_one_of_this_rank_only_with_the_process(
    world: World, tmp_path: Path
) -> None:
    with pytest.raises(Stopped), only_run(world, tmp_path):
        raise Stopped("by all")
    assert not refuses(world, tmp_path)
    for error in (RunError("of this rank"), ZeroDivisionError("a bug")):
        with pytest.raises(type(error)), only_run(world, tmp_path) as held:
            raise error
        assert refuses(world, tmp_path)
        held.release()
    assert not refuses(world, tmp_path)


def test_a_directory_that_is_renamed_while_one_waits_for_it_is_not_what_one_gets(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, first = tmp_path / "run", RunLock(tmp_path / "run")
    first.take()
    flock = lock.fcntl.flock

    def rename_and_lock(descriptor: int, how: int) -> None:
        monkeypatch.setattr(lock.fcntl, "flock", flock)
        run.rename(tmp_path / "run.1")
        first.release()
        flock(descriptor, how)

    monkeypatch.setattr(lock, "PATIENCE", 60.0)
    monkeypatch.setattr(lock.fcntl, "flock", rename_and_lock)
    with only_run(world, run):
        monkeypatch.setattr(lock, "PATIENCE", 0.0)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "run.1"]
        assert refuses(world, run)
        assert not refuses(world, tmp_path / "run.1")


def test_taken_again_the_lock_is_that_of_the_new_directory(world: World, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with only_run(world, run) as held:
        run.rename(tmp_path / "run.1")
        held.take()
        assert refuses(world, run)
        assert not refuses(world, tmp_path / "run.1")


def test_nothing_is_left_of_a_lock_alone_but_what_was_there(world: World, tmp_path: Path) -> None:
    with only_run(world, tmp_path / "a" / "b"):
        pass
    assert not (tmp_path / "a").exists()
    (tmp_path / "a").mkdir()
    with only_run(world, tmp_path / "a"):
        pass
    assert (tmp_path / "a").is_dir()
    with only_run(world, tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "file").touch()
    assert (tmp_path / "a" / "b" / "lock").is_file()


def test_a_full_disk_is_told_and_nothing_is_left(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, content: bytes, place: int) -> int:
        raise OSError(errno.ENOSPC, "any text")

    monkeypatch.setattr(lock.os, "pwrite", full)
    with pytest.raises(RunError) as caught, only_run(world, tmp_path / "run"):
        pass
    assert str(caught.value) == (
        f"{tmp_path / 'run' / 'lock'}: cannot be written: No space left on device; make room for "
        "it or choose another place"
    )
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_run_that_took_the_place_is_not_deleted(world: World, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with only_run(world, run):
        run.rename(tmp_path / "moved")
        other = RunLock(run)
        other.take()
    assert (run / "lock").is_file()
    assert refuses(world, run)
    other.release()


def test_a_file_is_at_its_path_until_it_is_renamed_deleted_or_replaced(tmp_path: Path) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    with path.open("w") as file:
        assert is_at(path, file.fileno())
        path.rename(other)
        assert not is_at(path, file.fileno())
        path.touch()
        assert not is_at(path, file.fileno())
        assert is_at(other, file.fileno())
        assert not is_at(path / "below", file.fileno())
