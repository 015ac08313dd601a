"""Jobs that Slurm stops, moves or loses in the middle of a run, and what becomes of the run.

Whatever happens, it ends with the weights of a run that nothing happened to, bit for bit.
"""

from __future__ import annotations

from pathlib import Path

import launching
import pytest
from runs import SCRIPTS, difference, events, step_of, wait_for_step, write_files
from testbed import Cluster, Job, wait_for

TRAIN = SCRIPTS / "train.sbatch"
# Half a minute of steps or more: a job's shortest time limit is a minute.
STEPS = 20_000
WORDS = ("config.yaml", f"--train.steps={STEPS}", "--data.shards=2", "--log.every_steps=100")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run that was never interrupted, of mpirun with 2 ranks on this host."""
    place = write_files(tmp_path_factory.mktemp("reference"))
    done = launching.run(place, "-m", "hpcgan", "train", *WORDS, ranks=2, timeout=300)
    assert done.returncode == 0, done.stderr
    return place / "runs" / "run"


def _check_finished(job: Job, run: Path, reference: Path) -> None:
    """Wait for a job to finish its run, and compare what it learnt."""
    facts = job.wait_to_end(240)
    assert facts["JobState"] == "COMPLETED", job.describe()
    assert step_of(run) == STEPS
    assert difference(run, reference, STEPS) == 0


def _wait_for_start(job: Job, number: int) -> None:
    """Return when a job runs for the time of that number, 1 for the first one."""
    restarts = str(number - 1)
    wait_for(
        lambda: (facts := job.facts())["JobState"] == "RUNNING" and facts["Restarts"] == restarts,
        60,
        f"start {number} of {job}",
        job.describe,
    )


def test_a_job_whose_time_ends_saves_and_goes_on(
    cluster: Cluster, place: Path, reference: Path
) -> None:
    # Slurm looks every 30 s: the signal comes 15 to 45 s after the start.
    words = ("-N2", "--time=1", "--signal=B:USR1@15")
    job = cluster.submit(place, *words, TRAIN, *WORDS)
    run = place / "runs" / "run"
    _wait_for_start(job, 2)
    said = job.output()
    assert "asked to stop" in said
    assert "by SIGUSR1 (rank 0), SIGUSR1 (rank 1); its checkpoint is written" in said
    assert "stopped with a checkpoint: back into the queue" in said
    _check_finished(job, run, reference)
    assert events(run)[:3] == ["started", "stopped", "started"]


def test_signals_requeues_and_preemption_cost_a_run_nothing(
    cluster: Cluster, place: Path, reference: Path
) -> None:
    job = cluster.submit(place, "-N2", TRAIN, *WORDS)
    run = place / "runs" / "run"

    wait_for_step(job, run, 1000)
    assert cluster.on("login", "scancel", "--signal=USR1", job.number).returncode == 0
    _wait_for_start(job, 2)  # the ranks got the signal, and the script put the job back
    assert events(run)[1] == "stopped"

    wait_for_step(job, run, 5000)
    assert cluster.on("login", "scontrol", "requeue", job.number).returncode == 0
    _wait_for_start(job, 3)

    wait_for_step(job, run, 9000)
    urgent = cluster.submit(place, "-N3", "-p", "urgent", "-o", "urgent.out", "--wrap", "hostname")
    assert urgent.wait_to_end()["JobState"] == "COMPLETED"
    _check_finished(job, run, reference)
    # The one that preempts had all nodes to itself, in the middle of the run.
    assert job.facts()["Restarts"] == "3"
    assert events(run).count("stopped") >= 2


def test_mpiruns_ranks_are_stopped_through_the_batch_script(
    cluster: Cluster, place: Path, reference: Path
) -> None:
    job = cluster.submit(place, "-N2", TRAIN, *WORDS, HPCGAN_LAUNCH="mpirun")
    run = place / "runs" / "run"
    wait_for_step(job, run, 1000)
    assert cluster.on("login", "scancel", "--batch", "--signal=USR1", job.number).returncode == 0
    _check_finished(job, run, reference)
    assert events(run) == ["started", "stopped", "started", "finished"]
    assert job.facts()["Restarts"] == "1"


def test_a_cancelled_job_stays_cancelled(cluster: Cluster, place: Path) -> None:
    job = cluster.submit(place, "-N2", TRAIN, *WORDS)
    run = place / "runs" / "run"
    wait_for_step(job, run, 100)
    assert cluster.on("login", "scancel", job.number).returncode == 0
    assert job.wait_to_end(60)["JobState"] == "CANCELLED"
    wait_for(lambda: not cluster.on("login", "squeue", "-h").stdout, 60, "its end", job.describe)
    assert job.facts()["Restarts"] == "0"
    assert "back into the queue" not in job.output()


def test_a_chain_of_jobs_is_one_run(cluster: Cluster, place: Path, reference: Path) -> None:
    done = cluster.on("login", SCRIPTS / "chain.sh", 3, "-N2", TRAIN, *WORDS, place=place)
    assert done.returncode == 0, done.stderr
    first, second, third = (Job(cluster, number) for number in done.stdout.split())
    run = place / "runs" / "run"
    wait_for_step(first, run, 1000)
    assert second.facts()["Reason"] == "Dependency"
    assert cluster.on("login", "scancel", "--signal=USR1", first.number).returncode == 0
    facts = first.wait_to_end()
    assert (facts["JobState"], facts["ExitCode"]) == ("FAILED", "85:0")
    _check_finished(second, run, reference)
    assert events(run) == ["started", "stopped", "started", "finished"]
    assert third.wait_to_end()["JobState"] == "CANCELLED"  # Slurm itself: nothing is left to do


def test_a_lost_node_costs_the_steps_since_the_last_checkpoint(
    cluster: Cluster, place: Path, reference: Path
) -> None:
    words = (*WORDS, "--checkpoint.every_steps=1000")
    job = cluster.submit(place, "-N2", "-w", "node1,node2", "--no-kill=off", TRAIN, *words)
    run = place / "runs" / "run"
    wait_for_step(job, run, 3000)
    cluster.kill("node2")
    wait_for(lambda: job.state != "RUNNING", 60, "the end of the job", job.describe)
    before = len(events(run))
    cluster.start("node2")
    _check_finished(job, run, reference)
    assert job.facts()["Restarts"] == "1"
    assert events(run)[before - 1 :] == ["started", "started", "finished"]
