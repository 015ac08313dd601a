"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import h5py
import pytest

from hpcgan import command
from hpcgan.errors import ConfigError, DataError, RunError
from hpcgan.files import (
    USER_BLOCK,
    default_chunk,
    expanded,
    hdf5_on_disk,
    partial_path,
    whole_hdf5,
    write_whole,
    writing,
)


@pytest.mark.parametrize(
    ("sample_bytes", "samples", "chunk"),
    [
        (784, 60_000, 1337),  # 1337 x 784 is 1,048,208, and 1 MiB is 1,048,576
        (784, 100, 100),
        (2**20, 100, 1),
        (2**20 + 1, 100, 1),
        (2**19, 100, 2),
        (1, 2**21, 2**20),
    ],
)
def test_a_chunk_is_a_mebibyte_at_most_but_never_less_than_a_sample(
    sample_bytes: int, samples: int, chunk: int
) -> None:
    assert default_chunk(sample_bytes, samples) == chunk


def test_a_file_is_replaced_as_a_whole_and_nothing_else_stays(tmp_path: Path) -> None:
    out = tmp_path / "out.bin"
    partial_path(out).write_bytes(b"what a killed run left, and longer than the new content")
    for content in (b"first", b"", memoryview(b"second")):
        write_whole(out, content)
        assert out.read_bytes() == bytes(content)
        assert list(tmp_path.iterdir()) == [out]


def test_content_is_on_the_disk_before_its_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut could leave a name without content, or the old content."""
    out, seen = tmp_path / "out.bin", []

    def note(descriptor: int) -> None:
        seen.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, out.exists()))

    monkeypatch.setattr("os.fsync", note)
    write_whole(out, b"content")
    assert seen == [("out.bin.partial", False), (tmp_path.name, True)]


def test_a_directory_that_is_missing_is_reported(tmp_path: Path) -> None:
    out = tmp_path / "missing" / "out.bin"
    with pytest.raises(DataError) as caught:
        write_whole(out, b"")
    assert str(caught.value) == f"{out}: there is no directory {out.parent}; make it first"


def test_a_directory_in_place_of_a_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        write_whole(tmp_path, b"")
    assert str(caught.value) == f"{tmp_path}: is a directory; name a file"


def test_a_failure_leaves_the_old_content_and_no_partial_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "any text")

    out = tmp_path / "out.bin"
    out.write_bytes(b"old")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RunError) as caught:
        write_whole(out, b"new")
    assert str(caught.value) == (
        f"{out}: cannot be written: No space left on device; make room for it or choose another "
        "place"
    )
    assert out.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EDQUOT, "make room for it or choose another place"),
        (errno.EROFS, "choose another place"),
        (errno.EACCES, "choose another place"),
        (errno.ENOTDIR, "choose another place"),
    ],
)
def test_room_is_asked_for_only_where_it_is_missing(number: int, advice: str) -> None:
    with pytest.raises(RunError) as caught, writing(Path("out")):
        raise OSError(number, "any text")
    assert str(caught.value) == f"out: cannot be written: {os.strerror(number)}; {advice}"


def test_an_error_of_several_lines_is_reported_in_one() -> None:
    with (
        pytest.raises(RunError, match=r"^out: cannot be written: one two three; make room"),
        writing(Path("out")),
    ):
        raise RuntimeError("one\n  two\nthree")


def test_an_error_of_another_kind_stays_what_it_is() -> None:
    with pytest.raises(ZeroDivisionError), writing(Path("out")):
        _ = 1 / 0


def test_an_hdf5_file_appears_at_the_end(tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    with whole_hdf5(out) as file:
        file["x"] = [1, 2, 3]
        file.attrs["name"] = "größe"
        assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.iterdir()) == [out]
    with h5py.File(out) as file:
        assert file["x"][:].tolist() == [1, 2, 3]
        assert file.attrs["name"] == "größe"


def test_an_error_while_an_hdf5_file_is_filled_leaves_the_old_one(tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    out.write_bytes(b"old")

    def fail_half_way() -> None:
        with whole_hdf5(out) as file:
            file["x"] = [1, 2, 3]
            raise KeyError("y")

    with pytest.raises(KeyError):
        fail_half_way()
    assert out.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [out]


def test_an_error_while_a_file_is_filled_on_the_disk_is_not_blamed_on_it(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"^of the network$"), hdf5_on_disk(tmp_path / "out.h5"):
        raise RuntimeError("of the network")
    assert list(tmp_path.iterdir()) == []


def test_a_seal_is_made_of_what_follows_it(tmp_path: Path) -> None:
    sealed: list[bytes] = []

    def seal(content: memoryview) -> bytes:
        sealed.append(bytes(content))
        return b"s" * USER_BLOCK

    with whole_hdf5(tmp_path / "out.h5", seal) as file:
        file["x"] = [1, 2, 3]
    assert (tmp_path / "out.h5").read_bytes() == b"s" * USER_BLOCK + sealed[0]
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["x"][:].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("~/x.h5", "/home/ann/x.h5"),
        ("~", "/home/ann"),
        ("$SCRATCH/x", "/scratch/my data/x"),
        ("a/${SCRATCH}b$JOB.h5", "a//scratch/my datab7.h5"),
        ("a~/b~", "a~/b~"),
        ("cost$.h5", "cost$.h5"),
        ("5$1.h5", "5$1.h5"),
        ("plain.h5", "plain.h5"),
    ],
)
def test_home_and_variables_in_paths(
    path: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"HOME": "/home/ann", "SCRATCH": "/scratch/my data", "JOB": "7"}.items():
        monkeypatch.setenv(name, value)
    assert expanded(path) == meant


@pytest.mark.parametrize("path", ["$NOWHERE/x.h5", "a/${NOWHERE}", "$EMPTY/$NOWHERE"])
def test_a_variable_that_is_not_set_is_named(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    monkeypatch.setenv("EMPTY", "")
    name = "EMPTY" if "EMPTY" in path else "NOWHERE"
    with pytest.raises(ConfigError) as caught:
        expanded(path)
    assert str(caught.value) == (
        f"{path}: the variable {name} is not set; set it, or write its value"
    )


def test_the_home_of_nobody_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"~nobody-here/x: there is no user nobody-here; "):
        expanded("~nobody-here/x")


def test_a_file_of_that_very_name_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("$NOWHERE.h5", "~x"):
        Path(name).touch()
        assert expanded(name) == name


def test_paths_among_options_are_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    parser = command.Parser("program")
    inner = parser.add_subparsers().add_parser("write")
    inner.add_argument("--out", type=Path)
    assert parser.parse_args(["write", "--out=~/x"]).out == Path("/home/ann/x")
    monkeypatch.delenv("NOWHERE", raising=False)
    for word, reason in (("$NOWHERE/x", "NOWHERE is not set"), ("", "'' is no path")):
        with pytest.raises(ConfigError, match=f"argument --out: .*{reason}"):
            parser.parse_args(["write", f"--out={word}"])


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match=r"is no path; was a variable meant that is not set\?"):
        expanded(path)
