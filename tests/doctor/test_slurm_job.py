"""The Slurm job: evaluated from made-up facts, and read from what its commands print."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from hpcgan.doctor import slurm
from hpcgan.doctor.slurm import Job

_JOB = Job("7", 3600.0, knows_end=True, is_batch=True, signal="B:USR1@120")


def evaluated(job: Job | None, is_by_mpirun: bool = False) -> dict[str, tuple[str, str]]:
    found = slurm.evaluate(job, is_by_mpirun)
    return {check: (each.status, each.text) for check, each in found.items()}


def test_outside_a_job_there_is_nothing_to_say():
    assert slurm.gather({}) is None
    assert evaluated(None) == {}


def test_a_signal_to_the_batch_script_is_ok():
    assert evaluated(_JOB) == {
        "time left": ("ok", "job 7: 60 minutes"),
        "signal": ("ok", "--signal=B:USR1@120, to the batch script"),
    }


@pytest.mark.parametrize(
    ("change", "by_mpirun", "status", "text"),
    [
        ({"signal": "USR1@120"}, True, "warning", "--signal=USR1@120 kills mpirun's daemons"),
        ({"signal": "R:USR1"}, False, "warning", "--signal=R:USR1 reaches the ranks"),
        ({"signal": "RB:USR1@60"}, True, "ok", "--signal=RB:USR1@60, to the batch script"),
        ({"signal": ""}, False, "ok", "none found; a run stops by itself"),
        ({"signal": "", "knows_end": False}, False, "warning", "no --signal in the batch script"),
    ],
)
def test_other_signals(change, by_mpirun, status, text):
    found = evaluated(dataclasses.replace(_JOB, **change), by_mpirun)["signal"]
    assert found[0] == status
    assert found[1].startswith(text)


def test_without_a_batch_script_no_signal_is_asked_for():
    job = dataclasses.replace(_JOB, signal="", is_batch=False, knows_end=False)
    assert "signal" not in evaluated(job)


def test_little_time_is_a_warning():
    job = dataclasses.replace(_JOB, seconds_left=120.0)
    assert evaluated(job)["time left"] == ("warning", "job 7: 2 minutes")
    job = dataclasses.replace(_JOB, seconds_left=None)
    assert evaluated(job)["time left"][0] == "ok"


_SCRIPT = """#!/bin/bash -l
#SBATCH --signal=USR1@60
#SBATCH -J x --signal=B:USR1@120
# --signal=TERM
"""


@pytest.mark.parametrize(
    ("left", "seconds"),
    [("1-02:03:04", 93784.0), ("2:03", 123.0), ("59", 59.0), ("UNLIMITED", None)],
)
def test_facts_come_from_slurms_commands(tmp_path: Path, monkeypatch, left, seconds):
    for name, output in (("scontrol", _SCRIPT), ("squeue", left)):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{output}\nEND\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    job = slurm.gather({"SLURM_JOB_ID": "7"})
    assert job == Job("7", seconds, knows_end=False, is_batch=True, signal="B:USR1@120")


def test_a_job_without_slurms_commands_is_still_described(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    job = slurm.gather({"SLURM_JOB_ID": "7", "SBATCH_SIGNAL": "USR1@9"})
    assert job == Job("7", None, knows_end=False, is_batch=False, signal="USR1@9")
