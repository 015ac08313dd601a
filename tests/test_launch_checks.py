"""What launchers say against what MPI found: environments as they were seen, and whole starts."""

from __future__ import annotations

import sys

import pytest
from launching import only_line

from hpcgan import launch

# What matters of the environment of a process that each of these started.
_SRUN_PMIX = {
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_NTASKS": "4",
    "SLURM_PROCID": "3",
    "PMIX_NAMESPACE": "slurm.pmix.7.0",
    "PMIX_RANK": "3",
}
_SRUN_NONE = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_NTASKS": "4", "SLURM_PROCID": "3"}
_MPIRUN = {
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_RANK": "3",
    "PMIX_NAMESPACE": "prterun-node1-380@1",
    "PMIX_RANK": "3",
}
# On another node than mpirun itself, its daemon is a task of an srun.
_MPIRUN_IN_JOB = {**_MPIRUN, "SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "1", "SLURM_PROCID": "0"}
_MPICH_IN_JOB = {
    "PMI_SIZE": "4",
    "PMI_RANK": "3",
    "HYDI_CONTROL_FD": "9",
    "SLURM_STEP_NUM_TASKS": "2",
    "SLURM_PROCID": "1",
}
_BATCH_SCRIPT = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}


@pytest.mark.parametrize(
    ("environment", "by_srun", "started", "number"),
    [
        (_SRUN_PMIX, True, 4, 3),
        (_SRUN_NONE, True, 4, 3),
        (_MPIRUN, False, 4, 3),
        (_MPIRUN_IN_JOB, False, 4, 3),
        (_MPICH_IN_JOB, False, 4, 3),
        (_BATCH_SCRIPT, False, None, None),
        ({}, False, None, None),
    ],
)
def test_launchers_are_kept_apart(environment, by_srun, started, number):
    assert launch.is_by_srun(environment) is by_srun
    assert launch.started(environment) == started
    assert launch.number(environment) == number


@pytest.mark.parametrize(
    ("size", "environment", "text"),
    [
        (1, _SRUN_NONE, "srun started 4 tasks that do not find each other: its --mpi does not fit"),
        (2, _SRUN_PMIX, "srun started 4 tasks that are 2 ranks to MPI: its --mpi does not fit"),
        (1, _MPICH_IN_JOB, "mpirun started 4 processes that are 1 rank to MPI: it is of another"),
        (8, _MPIRUN, "mpirun started 4 processes that are 8 ranks to MPI: it is of another"),
    ],
)
def test_another_number_of_ranks_than_were_started_is_a_problem(size, environment, text):
    assert launch.problem(size, environment).startswith(text)


@pytest.mark.parametrize(
    ("size", "environment"),
    [(4, _SRUN_PMIX), (4, _MPIRUN), (4, _MPIRUN_IN_JOB), (1, _BATCH_SCRIPT), (1, {})],
)
def test_as_many_ranks_as_were_started_are_none(size, environment):
    assert launch.problem(size, environment) is None


def test_two_ranks_that_are_one_task_are_named():
    assert launch.repeated_task([0, 1, 2]) is None
    assert launch.repeated_task([None, None]) is None
    assert launch.repeated_task([0, 1, 0]).startswith("ranks 0 and 2 are both task 0 of srun")


def test_the_first_rank_that_differs_is_named():
    first = {"Python": "3.11.2", "source of hpcgan": "aaa"}
    everyone = [("node1", first), ("node2", first), ("node3", {**first, "source of hpcgan": "bbb"})]
    assert launch.difference(everyone[:2]) is None
    assert launch.difference(everyone) == (
        "rank 2 on node3 has another source of hpcgan than rank 0 on node1: bbb instead of aaa; "
        "all nodes must see the same environment"
    )


# Each rank may have a command line and versions of its own, as with mpirun's MPMD form.
_OWN_WAY = """
import os, sys
from hpcgan import cli, launch
if os.environ["PMIX_RANK"] == "1":
    {change}
sys.exit(cli.main())
"""


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            "sys.argv[2] = 'b.yaml'",
            "another command line than rank 0 on HOST: train b.yaml instead of train a.yaml; "
            "start all ranks with the same command line",
        ),
        (
            "sys.argv[2:] = ['--resum']",
            "another command line than rank 0 on HOST: train --resum instead of train a.yaml; "
            "start all ranks with the same command line",
        ),
        (
            "launch.version_of = lambda package: '9'",
            "another tensorflow than rank 0 on HOST: 9 instead of 2.18.1; all nodes must see the "
            "same environment",
        ),
    ],
)
def test_ranks_that_differ_are_refused_once(python, change, line):
    done = python("-c", _OWN_WAY.format(change=change), "train", "a.yaml", ranks=2)
    assert done.returncode == 2
    said = only_line(done.stderr)
    host = said.split()[3]
    assert said == f"rank 1 on {host} has {line.replace('HOST', host)}"


def test_a_foreign_mpirun_is_refused(python, monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setenv("PMI_RANK", "0")
    done = python("-m", "hpcgan", "train", "a.yaml")
    assert done.returncode == 2
    assert only_line(done.stderr).startswith("mpirun started 2 processes that are 1 rank to MPI")


def test_versions_are_found_without_an_import():
    found = launch.versions()
    assert found["tensorflow"] == "2.18.1"
    assert found["Python"] == sys.version.split()[0]


def test_another_source_is_another_version(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "__file__", str(tmp_path / "launch.py"))
    found = []
    for text in ("a = 1\n", "a = 2\n"):
        (tmp_path / "launch.py").write_text(text)
        found.append(launch.versions()["source of hpcgan"])
    (tmp_path / "gan").mkdir()
    (tmp_path / "gan" / "loss.py").write_text("b = 1\n")
    found.append(launch.versions()["source of hpcgan"])
    assert len(set(found)) == 3
