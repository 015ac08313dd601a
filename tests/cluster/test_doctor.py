"""The doctor finds what is wrong with a cluster, and each rank's start is checked."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from launching import only_line
from testbed import Cluster

_TRAIN = "train: {steps: 1, batch_size: 1}\n"
_FILE_BYTES = 8 * 2**20
# By name: right after another step Slurm may not have its nodes back, and give a third one.
_TWO = ("-w", "node1,node2", "-N2", "-n2")
_SRUN = ["srun", "--mpi=pmix", *_TWO]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a directory with data of 8 MiB and a configuration for it, which all hosts see."""
    images = np.random.default_rng(0).integers(0, 256, (2**13, 32, 32, 1), np.uint8)
    assert images.nbytes == _FILE_BYTES
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["images"] = images
    (tmp_path / "config.yaml").write_text(f"data: {{files: [data.h5]}}\n{_TRAIN}")
    return tmp_path


@pytest.fixture
def own_file(cluster: Cluster, place: Path) -> Iterator[str]:
    """Return the path of a data file that node1 alone has."""
    made = cluster.on("node1", "cp", "data.h5", "/local/own.h5", place=place)
    assert made.returncode == 0, made.stderr
    yield "/local/own.h5"
    cluster.on("node1", "rm", "/local/own.h5")


@pytest.fixture
def small_disk(cluster: Cluster) -> Iterator[str]:
    """Return a directory for copies, which on node2 is a disk of 2 MiB."""
    words = "mkdir -p /local/stage && mount -t tmpfs -o size=2m none /local/stage"
    made = cluster.on("node2", "sh", "-c", words)
    assert made.returncode == 0, made.stderr
    yield "/local/stage"
    cluster.on("node2", "umount", "/local/stage")


def doctor(
    cluster: Cluster, place: Path, *words: str, mpi: str = "pmix"
) -> tuple[dict[str, dict], subprocess.CompletedProcess[str]]:
    """Run the doctor on two nodes; return its findings by check, and how it ended."""
    srun = ["srun", f"--mpi={mpi}", *_TWO, "python", "-m", "hpcgan", "doctor"]
    done = cluster.on("login", *srun, *words, "--json", place=place)
    assert "Traceback" not in done.stderr
    found = {each["check"]: each for each in json.loads(done.stdout)["findings"]}
    return found, done


def failures(found: dict[str, dict]) -> list[str]:
    """Return the checks that failed."""
    return [check for check, each in found.items() if each["status"] == "failed"]


def test_two_nodes_without_faults(cluster: Cluster, place: Path) -> None:
    found, done = doctor(cluster, place, "config.yaml")
    assert (done.returncode, failures(found)) == (0, [])
    assert found["ranks"]["text"] == "2 on 2 nodes: node1 (1), node2 (1)"
    assert found["data"]["text"].startswith("all 2 nodes see 1 file of ")
    assert found["time left"]["status"] == "ok"
    assert {"all-reduce", "links", "clocks"} < set(found)


@pytest.mark.parametrize("kind", ["none", "pmi2"])
def test_a_wrong_kind_of_mpi(cluster: Cluster, place: Path, kind: str) -> None:
    found, done = doctor(cluster, place, mpi=kind)
    assert (done.returncode, failures(found)) == (1, ["ranks"])
    assert found["ranks"]["text"].startswith("srun started 2 tasks that do not find each other")
    assert found["ranks"]["advice"].startswith("use srun --mpi=pmix")


def test_a_data_file_that_is_missing_on_one_node(
    cluster: Cluster, place: Path, own_file: str
) -> None:
    files = ["--data.files", f"[{own_file}]"]
    found, done = doctor(cluster, place, "config.yaml", *files)
    assert (done.returncode, failures(found)) == (1, ["data"])
    text = f"{own_file}: cannot be seen on node2: No such file or directory"
    assert found["data"]["text"] == text
    # A run is refused for it, before anything starts.
    words = [*_SRUN, "python", "-m", "hpcgan", "train", "config.yaml"]
    done = cluster.on("login", *words, *files, place=place)
    assert done.returncode == 2
    assert only_line(done.stderr).startswith(f"{own_file}: node2 cannot see it, and node1 can;")
    assert not (place / "runs").exists()


def test_a_staging_directory_without_room(cluster: Cluster, place: Path, small_disk: str) -> None:
    words = ["config.yaml", "--data.stage", small_disk]
    found, done = doctor(cluster, place, *words)
    assert (done.returncode, failures(found)) == (1, ["node-local space"])
    assert found["node-local space"]["figures"]["free_bytes"] <= 2**21
    assert f"{small_disk}: 2.1 MB free on node2" in found["node-local space"]["text"]
    full = "dd if=/dev/zero of=/local/stage/full bs=64k 2>/dev/null"
    cluster.on("node2", "sh", "-c", full)
    found, done = doctor(cluster, place, *words)
    assert (done.returncode, failures(found)) == (1, ["node-local space"])
    text = f"{small_disk}: nothing can be written there on node2: No space left on device"
    assert found["node-local space"]["text"] == text


def test_a_slow_link(cluster: Cluster, place: Path) -> None:
    cluster.shape("100mbit")
    found, done = doctor(cluster, place)
    assert done.returncode == 0  # it is a warning: training would work
    links = found["links"]
    assert links["status"] == "warning"
    assert links["text"].startswith("1 of 1 below the expected 1 Gbit/s: node1 - node2 ")
    # 12.5 MB/s, and what a token bucket lets through at first.
    assert 1e6 < links["figures"]["slowest_bytes_per_second"] < 14e6


_MPIRUN = ["mpirun", "--host", "node1:1,node2:1", "-n", "2", "-x", "PATH", "-x", "PYTHONPATH"]


@pytest.mark.parametrize("launcher", [_SRUN, _MPIRUN], ids=["srun", "mpirun"])
def test_a_rank_that_stops(cluster: Cluster, place: Path, launcher: list[str]) -> None:
    words = ["python", "-m", "tests.stopped_doctor", "1:node", "doctor"]
    done = cluster.on("login", *launcher, *words, "--timeout", "4", "--json", place=place)
    assert done.returncode not in (0, 2)
    assert [each["text"] for each in json.loads(done.stdout)["findings"]] == [
        "rank 1 on node2 of 2 did not come back from a look at its node within 4 s"
    ]
    assert sorted(each.name for each in place.iterdir()) == ["config.yaml", "data.h5"]


_NEVER = ["python", "-m", "tests.stopped_doctor", "1:never", "doctor"]


def test_a_rank_that_never_starts_mpi_is_named_by_mpirun(cluster: Cluster, place: Path) -> None:
    launcher = [_MPIRUN[0], "--timeout", "10", "--report-state-on-timeout", *_MPIRUN[1:]]
    done = cluster.on("login", *launcher, *_NEVER, place=place)
    assert done.returncode != 0
    assert done.stdout == ""
    states = {
        words[words.index("Node:") + 1]: words[words.index("State:") + 1]
        for words in map(str.split, done.stderr.splitlines())
        if "State:" in words
    }
    assert states == {"node1": "SYNC", "node2": "RUNNING"}  # SYNC REGISTERED


def test_a_node_whose_rank_never_starts_mpi_is_named_by_slurm(
    cluster: Cluster, place: Path
) -> None:
    launcher = ["env", "SLURM_PMIX_TIMEOUT=10", *_SRUN, "--time=1"]
    done = cluster.on("login", *launcher, *_NEVER, place=place)
    assert done.returncode != 0
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert any("slurmstepd-node1" in line and "wait contrib: node2" in line for line in lines)
