"""Whole examinations, alone and by two ranks, and with a rank that does not come."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import launching
import pytest
from launching import only_line

from hpcgan.doctor.storage import run_paths

CHECKS = [
    *("ranks", "cores", "threads", "GPU", "versions", "surroundings", "MPI", "Horovod"),
    *("data", "HDF5 locks", "reading", "run directory", "node-local space", "shared memory"),
]


@pytest.fixture
def config(data_file: Path) -> str:
    """Return the name of a configuration, in the directory of ``python``."""
    text = "data: {files: [data.h5]}\ntrain: {steps: 1, batch_size: 1}\n"
    data_file.with_name("config.yaml").write_text(text)
    return "config.yaml"


def found_by(done: subprocess.CompletedProcess[str]) -> dict[str, dict]:
    """Return the findings of --json, which must be all that was printed, by check."""
    findings = json.loads(done.stdout)["findings"]
    assert len({each["check"] for each in findings}) == len(findings)
    return {each["check"]: each for each in findings}


def test_alone_without_tensorflow(python, config, tmp_path):
    program = """
import sys
from hpcgan.cli import main
status = main()
assert not {"tensorflow", "horovod"} & set(sys.modules)
sys.exit(status)
"""
    done = python("-c", program, "doctor", config, "--run-dir", "run", "--json")
    assert done.returncode == 0, done.stderr
    found = found_by(done)
    assert list(found) == CHECKS
    assert found["data"]["text"].startswith("there are 1 file")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["config.yaml", "data.h5"]


def test_it_looks_where_the_variables_in_paths_lead(tmp_path, data_file, monkeypatch):
    monkeypatch.setenv("PLACE", str(tmp_path))
    words = ["--data.files=$PLACE/data.h5", "--data.stage=${PLACE}/disk"]
    paths = run_paths("digits", words, None)
    assert (paths.files, paths.stage) == ([str(data_file)], f"{tmp_path}/disk")


def test_two_ranks_look_at_their_exchange(python, config, tmp_path):
    done = python("-m", "hpcgan", "doctor", config, "--json", ranks=2)
    assert done.returncode == 0, done.stdout + done.stderr
    found = found_by(done)
    assert list(found) == [*CHECKS, "all-reduce", "clocks"]
    assert found["all-reduce"]["text"].startswith("right; ")
    assert set(found["all-reduce"]["figures"]) == {
        *("latency_seconds", "seconds", "bytes", "bytes_per_second"),
    }
    assert found["ranks"]["text"].startswith("2 on 1 node: ")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["config.yaml", "data.h5"]


def test_what_has_failed_gives_status_1_and_lines_with_what_to_do(python, config):
    words = ["--data.files", "[gone.h5]", "--data.stage", "/proc/none"]
    done = python("-m", "hpcgan", "doctor", config, *words, ranks=2)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    failed = [number for number, line in enumerate(lines) if line.startswith("failed")]
    assert [lines[number].split()[1] for number in failed] == ["data", "node-local"]
    assert "gone.h5: cannot be seen on any node: No such file" in lines[failed[0]]
    assert all(lines[number + 1].strip().startswith("-> ") for number in failed)
    assert lines[-1].startswith("hpcgan doctor: 2 failed, ")


def test_a_wrong_configuration_is_refused_once_with_status_2(python, config):
    done = python("-m", "hpcgan", "doctor", config, "--train.step", "1", ranks=2)
    assert done.returncode == 2
    assert "train.step" in only_line(done.stderr)
    assert done.stdout == ""
    done = python("-m", "hpcgan", "doctor", "--train.steps=1")
    assert done.returncode == 2
    assert only_line(done.stderr).startswith("unrecognized arguments: --train.steps=1")


def test_tasks_of_srun_that_do_not_find_each_other_are_found_once(python, monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_STEP_ID", "0")
    done = python("-m", "hpcgan", "doctor", "--json")
    assert done.returncode == 1
    assert found_by(done)["ranks"]["text"].startswith("srun started 2 tasks that do not find")
    monkeypatch.setenv("SLURM_PROCID", "1")
    silent = python("-m", "hpcgan", "doctor", "--json")
    assert (silent.returncode, silent.stdout, silent.stderr) == (1, "", "")


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("1:begin", "of 2 did not come back from a look at its node within 3 s"),
        ("1:node", "of 2 did not come back from a look at its node within 3 s"),
        ("1:exchange", "of 2 did not come back from the exchange within "),
        ("0:node", "rank 0 of 2 did not answer within "),
    ],
)
def test_a_rank_that_stops_is_named_and_all_ends(python, where, says):
    words = ["-m", "tests.stopped_doctor", where, "doctor", "--json", "--timeout", "3"]
    done = python(*words, ranks=2)
    assert done.returncode not in (0, 2), done.stdout + done.stderr
    found = found_by(done)["ranks"]
    assert found["status"] == "failed"
    assert says in found["text"]
    assert f"rank {where[0]} " in found["text"]


def test_a_rank_that_never_starts_mpi_is_named_by_mpirun(tmp_path):
    """As docs/doctor.md has it: the others wait inside MPI, where they can say nothing."""
    mpirun, *words = launching.mpirun(3)
    words = ["--timeout", "10", "--report-state-on-timeout", *words, sys.executable]
    done = subprocess.run(
        [mpirun, *words, "-m", "tests.stopped_doctor", "1:never", "doctor"],
        cwd=tmp_path,
        env=os.environ | launching.ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0
    assert done.stdout == ""
    states = {
        words[words.index("Rank:") + 1]: words[words.index("State:") + 1]
        for words in map(str.split, done.stderr.splitlines())
        if "State:" in words
    }
    assert states == {"0": "SYNC", "1": "RUNNING", "2": "SYNC"}  # SYNC REGISTERED
