"""How ranks are started, by the environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hpcgan.scaling import launcher

PROGRAM = ["python", "-m", "x"]


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the environment of a job of two nodes; its srun lists what the file ``kinds`` has."""
    srun = tmp_path / "srun"
    srun.write_text(f'#!/bin/sh\ntest "$1" = --mpi=list && cat {tmp_path}/kinds >&2\n')
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return {
        "PATH": os.environ["PATH"],
        "SLURM_JOB_ID": "7",
        "SLURM_TASKS_PER_NODE": "4(x2)",
        "SLURM_CPUS_PER_TASK": "3",
        "kinds": str(tmp_path / "kinds"),
    }


@pytest.mark.parametrize(
    ("kinds", "kind"),
    [
        ("MPI plugin types are...\n\tnone\n\tpmix\n\tpmi2", "pmix"),
        ("specific pmix plugin versions available: pmix_v4,pmix_v5", "pmix_v4"),
        ("\tpmi2\n\tpmix_v3\n\tpmix", "pmix"),
    ],
)
def test_srun_starts_ranks_where_it_has_pmix(slurm: dict[str, str], kinds: str, kind: str) -> None:
    Path(slurm["kinds"]).write_text(kinds)
    line = launcher.command(6, 8, PROGRAM, slurm)
    assert line[:3] == ["setpriv", "--pdeathsig", "TERM"]
    assert line[3:11] == ["srun", f"--mpi={kind}", "-N", "2", "-n", "6", "-c", "3"]
    assert line[-3:] == PROGRAM


def test_few_ranks_fill_a_node(slurm: dict[str, str]) -> None:
    Path(slurm["kinds"]).write_text("pmix")
    line = launcher.command(4, 8, PROGRAM, slurm)
    assert line[line.index("-N") + 1] == "1"
    slurm["SLURM_TASKS_PER_NODE"] = "1(x4)"
    line = launcher.command(4, 4, PROGRAM, slurm)
    assert line[line.index("-N") + 1] == "4"


def test_mpirun_starts_ranks_where_srun_has_no_pmix(slurm: dict[str, str]) -> None:
    Path(slurm["kinds"]).write_text("none\npmi2")
    line = launcher.command(6, 8, PROGRAM, slurm)
    assert Path(line[3]).name == "mpirun"
    assert line[4:] == ["-n", "6", "--map-by", "slot:PE=3", "--bind-to", "core", *PROGRAM]


def test_without_srun_there_is_mpirun(slurm: dict[str, str], monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    line = launcher.command(1, 8, PROGRAM, {**slurm, "PATH": ""})
    assert Path(line[3]).name == "mpirun"


def bound(line: list[str]) -> list[str]:
    """Return the processors of each rank."""
    return [line[place + 2] for place, word in enumerate(line) if word == "taskset"]


@pytest.mark.parametrize(
    ("ranks", "largest", "cores", "oversubscribed"),
    [
        (1, 2, ["0,4,1,5"], False),
        (2, 2, ["0,4,1,5", "2,6,3,7"], False),
        (2, 4, ["0,4", "1,5"], False),
        (5, 5, ["0,4", "1,5", "2,6", "3,7", "0,4"], True),
    ],
)
def test_a_rank_has_the_same_cores_on_any_number_of_ranks(
    monkeypatch: pytest.MonkeyPatch,
    ranks: int,
    largest: int,
    cores: list[str],
    oversubscribed: bool,
) -> None:
    groups = [[0, 4], [1, 5], [2, 6], [3, 7]]
    monkeypatch.setattr(launcher, "core_groups", lambda: groups)
    line = launcher.command(ranks, largest, PROGRAM, {})
    assert bound(line) == cores
    assert ("--oversubscribe" in line) == oversubscribed
    assert line.count("-n") == ranks


def test_all_processors_of_this_process_are_in_some_core() -> None:
    groups = launcher.core_groups()
    assert sorted(cpu for group in groups for cpu in group) == sorted(os.sched_getaffinity(0))


def test_of_what_failed_its_own_line_is_printed() -> None:
    output = "start\nhpcgan scale: data.h5: no\n----\nprterun noticed\n\n"
    assert launcher.last_line(output) == "hpcgan scale: data.h5: no"
    assert launcher.last_line("a\nb \n\n") == "b"
    assert launcher.last_line("") == "it printed nothing"
