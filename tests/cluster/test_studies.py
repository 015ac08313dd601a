"""Sweeps and scaling studies: many jobs, one report."""

from __future__ import annotations

import csv
from pathlib import Path

from runs import SCRIPTS
from testbed import Cluster, Job


def _rows(path: Path) -> list[dict[str, str]]:
    """Return the lines of a CSV file."""
    return list(csv.DictReader(path.read_text().splitlines()))


def test_a_sweep_and_a_study_of_two_sizes_become_one_report(cluster: Cluster, place: Path) -> None:
    words = ("--array=0-2", "-N1", "--ntasks-per-node=2", "-J", "study")
    sweep = cluster.submit(place, *words, SCRIPTS / "sweep.sbatch", "config.yaml")
    for task in range(3):
        ended = Job(cluster, f"{sweep.number}_{task}").wait_to_end(200)
        assert ended["JobState"] == "COMPLETED", ended
    measured = ("weak", "config.yaml", "--out=runs/study", "--repeats=1", "--seconds=0.5")
    sizes = [
        cluster.submit(place, f"-N{nodes}", SCRIPTS / "scaling.sbatch", *measured)
        for nodes in (1, 2)
    ]
    # Jobs of one name take turns: a measurement wants the machine for itself.
    assert sizes[1].facts()["Reason"] == "Dependency"
    for job in sizes:
        assert job.wait_to_end(200)["JobState"] == "COMPLETED", job.describe()
    report = place / "runs" / "study"
    trained = _rows(report / "sweep.csv")
    assert [run["name"] for run in trained] == [f"config-seed-{seed}" for seed in range(3)]
    assert {(run["step"], run["state"], run["ranks"]) for run in trained} == {
        ("60", "finished", "2")
    }
    assert len({run["generator_loss"] for run in trained}) == 3  # three seeds, three runs
    studied = _rows(report / "report.csv")
    assert [(row["ranks"], row["nodes"]) for row in studied] == [("1", "1"), ("2", "2")]
    page = (report / "report.html").read_text()
    assert "Weak scaling" in page
    assert "config-seed-2" in page
