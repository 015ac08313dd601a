"""Files and room: judged from made-up facts, and gathered from real directories."""

from __future__ import annotations

import errno
import fcntl
import os

import pytest

from hpcgan.doctor import data, space
from hpcgan.doctor.data import Data, Wanted
from hpcgan.doctor.space import Place, Space

_WANTED = Wanted(["a.h5", "b.h5"], "/local/stage", "runs/x")
_SIZES = {"a.h5": 6 * 10**9, "b.h5": 2 * 10**9}
_GB = 10**9


def node(host: str = "node1", **change) -> Data:
    """Return a node that sees both files and reads them with 100 MB/s."""
    facts = {"sizes": _SIZES, "read_bytes": 50_000_000, "read_seconds": 0.5, **change}
    return Data(host=host, **facts)


def judged_data(*nodes: Data):
    return {each.check: each for each in data.judge(list(nodes), _WANTED)}


def test_nodes_that_all_see_the_data_are_ok():
    found = judged_data(node(), node("node2"))
    assert [each.status for each in found.values()] == ["ok"] * 3
    assert found["data"].text == "all 2 nodes see 2 files of 8 GB"
    assert found["reading"].figures == {"bytes_per_second": 1e8}


def test_without_a_run_there_is_no_data_to_judge():
    assert data.judge([node()], Wanted([], None, "here")) == []


def test_a_node_that_misses_a_file_or_has_another_one_is_named():
    sizes = {"a.h5": 6 * 10**9, "b.h5": None}
    blind = node("node2", sizes=sizes, problems={"b.h5": "No such file or directory"})
    found = judged_data(node(), blind)["data"]
    assert found.status == "failed"
    assert found.text == "b.h5: cannot be seen on node2: No such file or directory"
    assert judged_data(blind)["data"].text.startswith("b.h5: cannot be seen on any node")
    other = node("node2", sizes={**_SIZES, "b.h5": 5})
    assert (
        judged_data(node(), other)["data"].text
        == "b.h5: has 5 bytes on node2 and 2000000000 on node1"
    )


@pytest.mark.parametrize(
    ("lock", "text"),
    [
        ("ENOLCK", "a.h5: no lock on node2 (ENOLCK): its file system has none"),
        ("EAGAIN", "a.h5 is locked by a program that has it open for writing"),
    ],
)
def test_locks_that_fail_are_a_warning(lock, text):
    found = judged_data(node(), node("node2", lock=lock))["HDF5 locks"]
    assert (found.status, found.text) == ("warning", text)


def test_slow_reading_is_a_warning_that_names_the_node():
    found = judged_data(node(), node("node2", read_seconds=5.0))["reading"]
    assert found.status == "warning"
    assert found.text.startswith("10 MB/s a node, slowest on node2")
    assert judged_data(node(read_bytes=1000))["reading"].text == "the data is too small to time"


def room(host: str = "node1", free: int = 100 * _GB, problem: str = "", **change) -> Space:
    """Return a node with so much room in its local directory."""
    plenty = Place("/somewhere", 100 * _GB, "")
    places = {"shared": plenty, "run_dir": plenty, **change}
    return Space(host, local=Place("/local", free, problem), **places)


def judged_space(*nodes: Space, wanted: Wanted = _WANTED):
    return {each.check: each for each in space.judge(list(nodes), wanted, 8 * _GB)}


def test_room_for_all_is_ok():
    found = judged_space(room(), room("node2"))
    assert [each.status for each in found.values()] == ["ok"] * 3


def test_a_staging_directory_that_is_too_small_for_a_part_of_the_data_has_failed():
    found = judged_space(room(), room("node2", free=3 * _GB))["node-local space"]
    assert found.status == "failed"
    assert found.text == (
        "/local (data.stage): 3 GB free on node2, and a node's part of the data has about 4 GB"
    )
    assert judged_space(room(), room(free=4 * _GB))["node-local space"].status == "ok"
    no_stage = Wanted(["a.h5"], None, "runs/x")
    found = judged_space(room(free=3 * _GB), wanted=no_stage)["node-local space"]
    assert found.status == "ok"


def test_a_staging_directory_where_nothing_can_be_written_has_failed():
    found = judged_space(room(), room("node2", 0, "No space left on device"))["node-local space"]
    assert found.status == "failed"
    assert "nothing can be written there on node2: No space left on device" in found.text


def test_little_shared_memory_and_run_directories_without_room_are_told():
    found = judged_space(room(shared=Place("/dev/shm", 2**26, "")))
    assert found["shared memory"].status == "warning"
    assert judged_space(room(run_dir=Place("/r", 5, "")))["run directory"].status == "warning"
    found = judged_space(room(run_dir=Place("/r", 0, "Read-only file system")))["run directory"]
    assert (found.status, found.text) == (
        "failed",
        "/r: nothing can be written there: Read-only file system",
    )


def test_a_directory_that_does_not_exist_yet_is_looked_at_where_it_would_be_made(tmp_path):
    place = space.look_at(str(tmp_path / "runs" / "new"))
    assert (place.path, place.problem) == (str(tmp_path), "")
    assert place.free > 0
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_seen(tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert space.look_at(str(tmp_path)) == Place(str(tmp_path), 0, "No space left on device")


def test_what_a_node_sees_of_files(world, tmp_path):
    here, gone = str(tmp_path / "here.h5"), str(tmp_path / "gone.h5")
    (tmp_path / "here.h5").write_bytes(b"x" * 5_000_000)
    wanted = Wanted([here, gone], None, "runs/x")
    found = data.gather(world, wanted)
    assert found.sizes == {here: 5_000_000, gone: None}
    assert found.problems == {gone: "No such file or directory"}
    assert (found.read_bytes, found.lock, found.total) == (5_000_000, "", 5_000_000)
    with (tmp_path / "here.h5").open("rb") as held:
        fcntl.flock(held.fileno(), fcntl.LOCK_EX)
        assert data.gather(world, wanted).lock == "EAGAIN"
