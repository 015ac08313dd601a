"""Files and room: evaluated from made-up facts, and gathered from real directories."""

from __future__ import annotations

import errno
import fcntl
import os

import pytest

from hpcgan.doctor import storage
from hpcgan.doctor.storage import RunPaths, Storage

_PATHS = RunPaths(["a.h5", "b.h5"], "/local/stage", "runs/x")
_SIZES = {"a.h5": 6 * 10**9, "b.h5": 2 * 10**9}
_GB = 10**9


def node(host: str = "node1", **change) -> Storage:
    """Return a node that sees both files, reads them with 100 MB/s and has room for everything.

    ``local``, ``shared`` and ``run_dir`` change a directory's free bytes and problem.
    """
    names = {"local": "node-local space", "shared": "shared memory", "run_dir": "run directory"}
    given = {name: change.pop(key) for key, name in names.items() if key in change}
    places = {name: (f"/{key}", 100 * _GB, "") for key, name in names.items()}
    places |= {name: (places[name][0], *each) for name, each in given.items()}
    facts = {"files": _SIZES, "bytes_per_second": 1e8, "places": places, **change}
    return Storage(host, **facts)


def evaluated(*nodes: Storage, paths: RunPaths = _PATHS):
    return storage.evaluate(list(nodes), paths)


def test_nodes_that_all_see_the_data_are_ok():
    found = evaluated(node(), node("node2"))
    assert {each.status for each in found.values()} == {"ok"}
    assert list(found) == [
        *("data", "HDF5 locks", "reading"),
        *("run directory", "node-local space", "shared memory"),
    ]
    assert found["data"].text == "all 2 nodes see 2 files of 8 GB"
    assert found["reading"].figures == {"bytes_per_second": 1e8}


def test_without_a_run_there_is_no_data_to_evaluate():
    found = evaluated(node(files={}), paths=RunPaths([], None, "here"))
    assert list(found) == ["run directory", "node-local space", "shared memory"]


def test_a_node_that_misses_a_file_or_has_another_one_is_named():
    blind = node("node2", files={"a.h5": 6 * 10**9, "b.h5": "No such file or directory"})
    found = evaluated(node(), blind)["data"]
    assert found.status == "failed"
    assert found.text == "b.h5: cannot be seen on node2: No such file or directory"
    assert evaluated(blind)["data"].text.startswith("b.h5: cannot be seen on any node")
    other = node("node2", files={**_SIZES, "b.h5": 5})
    assert (
        evaluated(node(), other)["data"].text
        == "b.h5: has 5 bytes on node2 and 2000000000 on node1"
    )


@pytest.mark.parametrize(
    ("lock", "text"),
    [
        ("ENOLCK", "a.h5: no lock on node2 (ENOLCK): its file system has none"),
        ("EAGAIN", "a.h5: no lock on node2 (EAGAIN): a program has it open for writing"),
    ],
)
def test_locks_that_fail_are_a_warning(lock, text):
    found = evaluated(node(), node("node2", lock=lock))["HDF5 locks"]
    assert (found.status, found.text) == ("warning", text)


def test_slow_reading_is_a_warning_that_names_the_node():
    found = evaluated(node(), node("node2", bytes_per_second=1e7))["reading"]
    assert found.status == "warning"
    assert found.text.startswith("10 MB/s per node, slowest on node2")
    assert evaluated(node(bytes_per_second=None))["reading"].text == "the data is too small to time"


def test_a_staging_directory_that_is_too_small_for_a_part_of_the_data_has_failed():
    found = evaluated(node(), node("node2", local=(3 * _GB, "")))["node-local space"]
    assert found.status == "failed"
    assert found.text == "/local: 3 GB free on node2; it should have 4 GB"
    assert evaluated(node(), node(local=(4 * _GB, "")))["node-local space"].status == "ok"
    no_stage = RunPaths(["a.h5", "b.h5"], None, "runs/x")
    found = evaluated(node(local=(3 * _GB, "")), paths=no_stage)["node-local space"]
    assert found.status == "ok"


def test_a_node_where_nothing_can_be_written_is_named():
    broken = node("node2", local=(0, "No space left on device"))
    found = evaluated(node(), broken)["node-local space"]
    assert found.status == "failed"
    assert found.text == "/local: nothing can be written there on node2: No space left on device"
    no_stage = RunPaths(["a.h5", "b.h5"], None, "runs/x")
    assert evaluated(node(), broken, paths=no_stage)["node-local space"].status == "warning"


def test_shared_memory_and_run_directories_without_room_are_warnings():
    assert evaluated(node(shared=(2**26, "")))["shared memory"].status == "warning"
    assert evaluated(node(run_dir=(5, "")))["run directory"].status == "warning"
    found = evaluated(node(run_dir=(0, "Read-only file system")))["run directory"]
    assert (found.status, found.text) == (
        "failed",
        "/run_dir: nothing can be written there on node1: Read-only file system",
    )


def test_a_directory_that_does_not_exist_yet_is_looked_at_where_it_would_be_made(tmp_path):
    path, free, problem = storage.look_at(str(tmp_path / "runs" / "new"))
    assert (path, problem) == (str(tmp_path), "")
    assert free > 0
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_seen(tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert storage.look_at(str(tmp_path)) == (str(tmp_path), 0, "No space left on device")


def test_what_a_node_sees_of_files(world, tmp_path):
    here, gone = str(tmp_path / "here.h5"), str(tmp_path / "gone.h5")
    (tmp_path / "here.h5").write_bytes(b"x" * 5_000_000)
    paths = RunPaths([here, gone], None, str(tmp_path))
    found = storage.gather(world, paths)
    assert found.files == {here: 5_000_000, gone: "No such file or directory"}
    assert found.lock == ""
    assert found.bytes_per_second > 0
    assert found.places["run directory"][0] == str(tmp_path)
    with (tmp_path / "here.h5").open("rb") as held:
        fcntl.flock(held.fileno(), fcntl.LOCK_EX)
        assert storage.gather(world, paths).lock == "EAGAIN"
    (tmp_path / "here.h5").write_bytes(b"x" * 1000)
    assert storage.gather(world, paths).bytes_per_second is None
