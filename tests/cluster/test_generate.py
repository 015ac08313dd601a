"""Samples made by a job that Slurm stops in the middle and starts again."""

from __future__ import annotations

from pathlib import Path

import launching
from runs import SCRIPTS
from testbed import Cluster

from hpcgan.checkpoint import path_of

COUNT, PART = 200_000, 2560


def _contents(directory: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in directory.iterdir()}


def test_a_job_that_is_stopped_makes_the_same_bytes(cluster: Cluster, place: Path) -> None:
    trained = launching.run(place, "-m", "hpcgan", "train", "config.yaml", "--train.steps=2")
    assert trained.returncode == 0, trained.stderr
    path = path_of(place / "runs" / "run" / "checkpoints", 2)
    words = [str(path), f"--count={COUNT}", f"--part-size={PART}"]
    job = cluster.submit(place, "-N2", SCRIPTS / "generate.sbatch", *words, "--out=samples")
    samples = place / "samples"
    job.wait_until(lambda: len(list(samples.glob("samples-*.h5"))) > 3, "the first parts", 120)
    assert cluster.on("login", "scancel", "--signal=USR1", job.number).returncode == 0
    facts = job.wait_to_end(240)
    assert facts["JobState"] == "COMPLETED", job.describe()
    assert facts["Restarts"] == "1", job.output()
    said = job.output()
    assert "stopped by SIGUSR1 (rank 0), SIGUSR1 (rank 1); " in said
    assert "stopped, and can go on: back into the queue" in said
    assert " samples are in samples; the same command makes the rest" in said
    once = launching.run(place, "-m", "hpcgan", "generate", *words, "--out=once", ranks=2)
    assert once.returncode == 0, once.stderr
    assert _contents(samples) == _contents(place / "once")
