"""Sweeps and scaling studies: many jobs, one report."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from runs import SCRIPTS
from testbed import Cluster, Job, wait_for


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


def test_the_tasks_of_an_array_share_out_a_comparison(cluster: Cluster, place: Path) -> None:
    (place / "ways.yaml").write_text("synchronous: {}\n")
    words = ("config.yaml", "--data.shards=2", "--ways=ways.yaml", "--rank-seconds=1")
    resources = ("--array=0-1", "-N1", "--ntasks-per-node=2")
    script = (SCRIPTS / "scaling.sbatch", "compare", *words, "--seeds=4", "--out=ways")
    array = cluster.submit(place, *resources, *script)
    tasks = [Job(cluster, f"{array.number}_{task}") for task in range(2)]
    wait_for(
        lambda: [task.state for task in tasks] == ["RUNNING"] * 2, 60, "both", tasks[1].describe
    )
    for task in tasks:
        assert task.wait_to_end(200)["JobState"] == "COMPLETED", task.describe()
    found = json.loads((place / "ways" / "compare.json").read_text())
    assert found["ranks"] == 2
    seeds = [point["seed"] for point in found["ways"]["synchronous"]["points"]]
    assert sorted(set(seeds)) == [0, 10_000, 20_000, 30_000]
    made = [task.output().count("of 4: Fréchet distance") for task in tasks]
    assert sum(made) == 4
    assert min(made) > 0
