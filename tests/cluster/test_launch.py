"""slurm/train.sbatch: ranks on several nodes, by srun and mpirun, and what ends them."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import launching
import pytest
from runs import SCRIPTS, difference, step_of, write_files
from testbed import Cluster

TRAIN = SCRIPTS / "train.sbatch"


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run of config.yaml by mpirun with 2 ranks on this host."""
    place = write_files(tmp_path_factory.mktemp("reference"))
    done = launching.run(place, "-m", "hpcgan", "train", "config.yaml", ranks=2)
    assert done.returncode == 0, done.stderr
    return place / "runs" / "run"


def _ranks_on(cluster: Cluster, host: str) -> int:
    """Return how many ranks of a training run there are on a host."""
    said = cluster.on(host, "pgrep", "-fc", "bin/hpcgan train").stdout
    return int(said)


@pytest.mark.parametrize(("launcher", "each"), [("srun", 1), ("srun", 2), ("mpirun", 2)])
def test_ranks_on_two_nodes_train_as_those_of_one_host(
    cluster: Cluster, place: Path, reference: Path, launcher: str, each: int
) -> None:
    job = cluster.submit(
        place, "-N2", f"--ntasks-per-node={each}", TRAIN, "config.yaml", HPCGAN_LAUNCH=launcher
    )
    run = place / "runs" / "run"
    job.wait_until(lambda: (run / "history.jsonl").exists(), "the start of the run")
    nodes = job.facts()["NodeList"]
    assert nodes == "node[1-2]"
    assert [_ranks_on(cluster, host) for host in ("node1", "node2", "node3")] == [each, each, 0]
    assert job.wait_to_end()["JobState"] == "COMPLETED", job.describe()
    said = job.output()
    ranks = 2 * each
    assert f"hpcgan: {ranks} ranks on 2 nodes, " in said
    result = next(line for line in said.splitlines() if line.startswith("hpcgan-result: "))
    assert f" ranks={ranks} hosts=2 images_per_step=20 steps=60 last_step=60 " in result
    # Two ranks sum in one order only; four may in others.
    distance = difference(run, reference, 60)
    assert distance == 0 if ranks == 2 else distance < 1e-6


@pytest.mark.parametrize(
    "way",
    [
        ["--parallel.mode=split", "--train.staleness=1"],
        ["--train.discriminators=2", "--train.swap_every=20"],
    ],
)
def test_other_ways_of_training_on_two_nodes_equal_one_host(
    cluster: Cluster, place: Path, way: list[str]
) -> None:
    words = ("-m", "hpcgan", "train", "config.yaml", "--run-dir", "one-host", *way)
    done = launching.run(place, *words, ranks=2)
    assert done.returncode == 0, done.stderr
    job = cluster.submit(place, "-N2", TRAIN, "config.yaml", *way)
    assert job.wait_to_end()["JobState"] == "COMPLETED", job.describe()
    assert "hpcgan: 2 ranks on 2 nodes, " in job.output()
    assert difference(place / "runs" / "run", place / "one-host", 60) == 0


def test_ranks_that_do_not_find_each_other_are_refused(cluster: Cluster, place: Path) -> None:
    job = cluster.submit(place, "-N2", TRAIN, "config.yaml", SLURM_MPI_TYPE="none")
    facts = job.wait_to_end()
    assert (facts["JobState"], facts["ExitCode"]) == ("FAILED", "2:0"), job.describe()
    line = launching.only_line(job.output())
    assert "srun started 2 tasks that do not find each other: its --mpi does not fit" in line
    assert not (place / "runs").exists()


def test_mpirun_starts_the_ranks_where_srun_cannot(cluster: Cluster, place: Path) -> None:
    # As on a cluster whose Slurm was built without PMIx: its list has other kinds only.
    listing = 'if [[ $1 == --mpi=list ]]; then echo "none pmi2" >&2; exit; fi'
    _write_program(place, "srun", f'{listing}\nexec /usr/bin/srun "$@"')
    for program in ("hpcgan", "mpirun", "python"):
        _write_program(place, program, f'exec {sys.prefix}/bin/{program} "$@"')
    job = cluster.submit(place, "-N2", TRAIN, "config.yaml", HPCGAN_VENV=str(place))
    assert job.wait_to_end()["JobState"] == "COMPLETED", job.describe()
    assert "do not find each other by srun --mpi=... (tried: pmi2): using mpirun" in job.output()
    assert "hpcgan: 2 ranks on 2 nodes, " in job.output()


def test_a_job_without_the_users_environment_and_with_a_space_in_its_path(
    cluster: Cluster, place: Path
) -> None:
    project = place / "my project"
    shutil.copytree(SCRIPTS, project / "slurm", ignore=shutil.ignore_patterns("testbed"))
    known = " ".join(f"{name}={value}" for name, value in launching.ENVIRONMENT.items())
    for program in ("hpcgan", "mpirun", "python"):
        line = f'exec env {known} {sys.prefix}/bin/{program} "$@"'
        _write_program(project / ".venv", program, line)
    words = ("-N2", "--export=NONE", "my project/slurm/train.sbatch", "config.yaml")
    job = cluster.submit(place, *words, "--run-dir", "runs/a b")
    assert job.wait_to_end()["JobState"] == "COMPLETED", job.describe()
    assert "hpcgan: 2 ranks on 2 nodes, " in job.output()
    assert "using mpirun" not in job.output()
    assert step_of(place / "runs" / "a b") == 60


def test_commands_of_one_process_run_in_the_shell_of_a_step_of_several(
    cluster: Cluster, place: Path
) -> None:
    # As by hand: the first of the tasks has the terminal, and the others do nothing.
    commands = "hpcgan-data inspect data.h5 && hpcgan submit config.yaml --dry-run | head -n 2"
    shell = f"if [[ $SLURM_PROCID == 0 ]]; then {commands}; fi"
    done = cluster.on("login", "srun", "-n2", "--pty", "bash", "-c", shell, place=place)
    assert done.returncode == 0, done.stderr
    said = done.stdout.replace("\r", "")
    assert said.startswith("data.h5: "), said
    assert said.endswith("#!/bin/bash -l\n#SBATCH --job-name=run\n"), said


def _write_program(place: Path, name: str, line: str) -> None:
    """Write a shell script to bin/, which a job has first on its PATH with HPCGAN_VENV=place."""
    path = place / "bin" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{line}\n")
    path.chmod(0o755)


def test_an_exception_on_one_rank_fails_the_job_at_once(cluster: Cluster, place: Path) -> None:
    _write_program(place, "python", f'exec {sys.prefix}/bin/python "$@"')
    failing = f"{sys.executable} -m tests.failing_rank exception 1 20"
    _write_program(place, "hpcgan", f'exec {failing} "$@"')
    words = ("-N2", TRAIN, "config.yaml", "--train.steps=100000")
    job = cluster.submit(place, *words, HPCGAN_VENV=str(place))
    facts = job.wait_to_end()
    failed = float((place / "failed_at").read_text())
    assert facts["JobState"] == "FAILED", job.describe()
    assert facts["ExitCode"] != "0:0"
    assert _seconds(facts["EndTime"]) - failed < 30
    assert "ValueError: this rank has a bug" in job.output()
    for host in ("node1", "node2"):
        assert cluster.on(host, "pgrep", "-fc", "failing_rank").stdout == "0\n"


def _seconds(time_of_slurm: str) -> float:
    """Return the seconds since 1970 of a time that scontrol shows."""
    return time.mktime(time.strptime(time_of_slurm, "%Y-%m-%dT%H:%M:%S"))
