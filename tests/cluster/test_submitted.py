"""hpcgan submit on a real Slurm."""

from __future__ import annotations

import re
from pathlib import Path

from testbed import Cluster, Job


def test_a_run_is_shown_then_submitted_and_staged(cluster: Cluster, place: Path) -> None:
    (place / "site.yaml").write_text(
        'partition: debug\nstage: /local/$SLURM_JOB_ID\nmpi: pmix\noptions: ["--hold"]\n'
    )
    (place / "logs").rmdir()
    words = ["hpcgan", "submit", "config.yaml", "--nodes", 2, "--site", "site.yaml"]
    words += ["--train.steps", 40, "--run-dir", "runs/here"]
    shown = cluster.on("login", *words, "--dry-run", place=place)
    assert shown.returncode == 0, shown.stderr
    assert not (place / "logs").exists()
    done = cluster.on("login", *words, place=place)
    assert done.returncode == 0, done.stderr
    assert (place / "logs" / "run.sbatch").read_text() == shown.stdout
    job = Job(cluster, re.match(r"job (\d+) is submitted", done.stdout)[1])  # type: ignore[index]
    # What it trains is what it was when it was submitted.
    (place / "config.yaml").write_text("edited: while the job waits\n")
    released = cluster.on("login", "scontrol", "release", job.number)
    assert released.returncode == 0, released.stderr
    assert job.wait_to_end()["JobState"] == "COMPLETED", job.describe()
    assert f"tail -F logs/run-{job.number}.out" in done.stdout
    assert "last_step=40" in job.output()
    assert (place / "runs" / "here" / "checkpoints" / "step_00000040.h5").exists()
    # Staged to the nodes' own disks, and cleared away.
    assert f"/local/{job.number}" in (place / "runs" / "here" / "config.yaml").read_text()
    for host in ("node1", "node2"):
        assert cluster.on(host, "find", f"/local/{job.number}", "-type", "f").stdout == ""
