"""Which checkpoints of a directory stay, are deleted, or are set aside."""

from __future__ import annotations

import dataclasses
import errno
from pathlib import Path

import pytest
from test_checkpoint import sample_checkpoint

from hpcgan.checkpoint import newest, path_of, read, write
from hpcgan.checkpoint_directory import prune, set_aside_after, set_aside_damaged
from hpcgan.errors import RunError


def save(directory: Path, *steps: int) -> None:
    """Write the checkpoints of some steps."""
    for step in steps:
        write(sample_checkpoint(directory, step))


def names(directory: Path) -> list[str]:
    """Return what is in a directory."""
    return sorted(path.name for path in directory.iterdir())


def test_pruning_keeps_the_newest_and_deletes_what_is_half_written(tmp_path: Path) -> None:
    save(tmp_path, 99_999_999, 100_000_000, 7, 3)
    path_of(tmp_path, 8).with_suffix(".h5.partial").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")
    for keep in (2, 3):
        prune(path_of(tmp_path, 100_000_000), keep)
        assert names(tmp_path) == ["notes.txt", "step_100000000.h5", "step_99999999.h5"]


def test_pruning_keeps_the_multiples_of_a_step_for_ever(tmp_path: Path) -> None:
    save(tmp_path, 0, 40, 50, 100, 110, 120)
    prune(path_of(tmp_path, 120), 2, keep_every=50)
    assert [read(path).step for path in sorted(tmp_path.iterdir())] == [0, 50, 100, 110, 120]
    prune(path_of(tmp_path, 120), 1, keep_every=100)
    assert [read(path).step for path in sorted(tmp_path.iterdir())] == [0, 100, 120]


@pytest.mark.parametrize("keep", [1, 2])
def test_what_has_later_names_than_the_one_just_written_does_not_count(
    tmp_path: Path, keep: int
) -> None:
    save(tmp_path, 1, 2, 3)
    later = [path_of(tmp_path, step) for step in (700, 800)]
    for path in later:
        path.write_bytes(b"damaged")
    prune(path_of(tmp_path, 3), keep)
    kept = [path_of(tmp_path, step) for step in (2, 3)[-keep:]]
    assert names(tmp_path) == [path.name for path in (*kept, *later)]


def test_directories_are_neither_counted_nor_deleted(tmp_path: Path) -> None:
    for step in (2, 5):
        path_of(tmp_path, step).mkdir()
    save(tmp_path, 1, 3, 4, 6)
    prune(path_of(tmp_path, 6), 2)
    assert names(tmp_path) == [f"step_0000000{step}.h5" for step in (2, 4, 5, 6)]


def test_what_cannot_be_deleted_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, 1, 2)

    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, "as told by the system", str(self))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(RunError) as caught:
        prune(path_of(tmp_path, 2), 1)
    assert str(caught.value) == (
        f"{path_of(tmp_path, 1)}: cannot be deleted: Read-only file system; delete it yourself, or "
        "allow this user to"
    )


def test_checkpoints_after_a_step_are_set_aside_with_their_content(tmp_path: Path) -> None:
    save(tmp_path, 1, 2, 3, 4)
    assert set_aside_after(tmp_path, read(path_of(tmp_path, 2)), "superseded") == [
        Path(f"{path_of(tmp_path, step)}.superseded") for step in (3, 4)
    ]
    assert names(tmp_path) == [
        "step_00000001.h5",
        "step_00000002.h5",
        "step_00000003.h5.superseded",
        "step_00000004.h5.superseded",
    ]
    assert read(tmp_path / "step_00000004.h5.superseded").step == 4
    found, _ = newest(tmp_path)
    assert found is not None
    assert found.step == 2


def test_each_that_is_set_aside_gets_a_name_of_its_own(tmp_path: Path) -> None:
    save(tmp_path, 1)
    found = read(path_of(tmp_path, 1))
    for images in (10, 11, 12):
        write(dataclasses.replace(sample_checkpoint(tmp_path, 2), images=images))
        set_aside_after(tmp_path, found, "superseded")
    aside = [tmp_path / f"step_00000002.h5.superseded{end}" for end in ("", ".1", ".2")]
    assert [read(path).images for path in aside] == [10, 11, 12]


def test_a_checkpoint_of_the_same_step_is_set_aside_for_one_of_elsewhere(tmp_path: Path) -> None:
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        save(tmp_path / place, 1, 2)
    set_aside_after(tmp_path / "here", read(path_of(tmp_path / "there", 2)), "superseded")
    assert names(tmp_path / "here") == ["step_00000001.h5", "step_00000002.h5.superseded"]


def test_of_the_newest_those_that_are_not_whole_are_set_aside(tmp_path: Path) -> None:
    save(tmp_path, *range(1, 9))
    for step in (1, 4, 6, 7):
        path_of(tmp_path, step).write_bytes(path_of(tmp_path, step).read_bytes()[:-1])
    aside = set_aside_damaged(tmp_path, 3)
    assert [path.name for path in aside] == [f"step_0000000{step}.h5.damaged" for step in (7, 6, 4)]
    assert sorted(names(tmp_path)) == sorted(
        [f"step_0000000{step}.h5" for step in (1, 2, 3, 5, 8)] + [path.name for path in aside]
    )
    prune(path_of(tmp_path, 8), 3)
    whole = [name for name in names(tmp_path) if name.endswith(".h5")]
    assert whole == [f"step_0000000{step}.h5" for step in (3, 5, 8)]
