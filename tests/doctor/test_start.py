"""The watch over MPI's start: who is said to be missing, and by whom."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from hpcgan.doctor import sentry, start


def test_missing_ranks_are_named():
    found = sentry.judge({0: "node1", 3: "node2"}, 4, 60.0)
    assert found.status == "failed"
    assert found.text == (
        "ranks 1, 2 of 4 did not come within 60 s; those on node1, node2 wait in MPI's start"
    )


def test_if_none_is_missing_it_is_the_network():
    found = sentry.judge({0: "node1", 1: "node2"}, 2, 60.0)
    assert found.text.startswith("all 2 ranks came, but MPI did not start between them")


def test_launches_have_places_of_their_own():
    one, two = ({"PMIX_NAMESPACE": f"prterun-vm-{each}@1"} for each in (1, 2))
    assert start.meeting_place(one) != start.meeting_place(two)
    assert start.meeting_place(one).parent == Path.cwd()


def watch(sleeps: float, size: int, number: int = 0) -> str:
    """Return a program that watches a start which takes so many seconds."""
    environment = {
        "PMIX_NAMESPACE": "prterun-test",
        "PMIX_RANK": str(number),
        "OMPI_COMM_WORLD_SIZE": str(size),
    }
    return f"""
import time
from hpcgan.doctor.start import watched
with watched(1.5, "json", {environment}):
    time.sleep({sleeps})
print("started")
"""


def test_a_start_in_time_leaves_nothing_behind(python, tmp_path):
    done = python("-c", watch(0, 2))
    assert (done.returncode, done.stdout, done.stderr) == (0, "started\n", "")
    assert list(tmp_path.iterdir()) == []


def test_a_start_that_does_not_end_is_ended_with_status_1_and_told_by_the_lowest(python, tmp_path):
    done = python("-c", watch(60, 3, number=1))
    assert (done.returncode, done.stderr) == (1, "")
    found = json.loads(done.stdout)["findings"]
    assert found[0]["text"].startswith("ranks 0, 2 of 3 did not come within 1.5 s")
    place = start.meeting_place({"PMIX_NAMESPACE": "prterun-test"}).name
    (tmp_path / place).mkdir()
    (tmp_path / place / "0@node1").touch()
    done = python("-c", watch(60, 3, number=1))
    assert (done.returncode, done.stdout) == (1, "")


def test_only_the_first_to_find_out_speaks(python, tmp_path):
    """It deletes the place: rank 1 would take all others for missing, if it came to look later."""
    program = """
import subprocess, sys
from hpcgan.doctor import sentry
place = "signs"
words = [sys.executable, "-m", "hpcgan.doctor.sentry"]
later = subprocess.Popen([*words, "4", place, "1@node1", "3", "json"], stdin=subprocess.PIPE)
sentry.main(["1", place, "0@node1", "3", "json"])
assert later.wait() == 0
"""
    (tmp_path / "signs").mkdir()
    for name in ("0@node1", "1@node1"):
        (tmp_path / "signs" / name).touch()
    done = python("-c", f"import os\nos.dup2(os.pipe()[0], 0)\n{program}")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)["findings"]
    assert found[0]["text"].startswith("rank 2 of 3 did not come within 1 s")
    assert list(tmp_path.iterdir()) == []


def test_a_node_that_sees_no_other_says_that_it_may_see_its_own_ranks_alone():
    one, two = {0: "node1", 1: "node1"}, {0: "node1", 1: "node2"}
    assert "share this directory" in sentry.judge(one, 4, 60.0).advice
    assert "share this directory" not in sentry.judge(two, 4, 60.0).advice


def test_the_last_resort_ends_whatever_waits(python):
    program = "import time; from hpcgan.ending import last_resort\n"
    program += "with last_resort(0.5): time.sleep(60)\n"
    began = time.monotonic()
    done = python("-c", program)
    assert (done.returncode, done.stderr) == (1, "")
    assert time.monotonic() - began < 50


def test_the_step_of_slurm_is_ended_and_no_other(tmp_path, monkeypatch):
    program = tmp_path / "scancel"
    program.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/called\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    of_step = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "2"}
    sentry.end_step({**of_step, "PMIX_NAMESPACE": "prterun-1"})
    assert not (tmp_path / "called").exists()
    sentry.end_step({**of_step, "PMIX_NAMESPACE": "slurm.pmix.7.2"})
    assert (tmp_path / "called").read_text() == "7.2\n"
