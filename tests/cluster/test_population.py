"""A population on two nodes that is preempted in the middle of a round."""

from __future__ import annotations

from pathlib import Path

import launching
from runs import SCRIPTS, difference, events, wait_for_step
from testbed import Cluster

MEMBERS, STEPS = 4, 6000
WORDS = (
    *("config.yaml", f"--parallel.population={MEMBERS}", "--data.shards=1"),
    *(f"--train.steps={STEPS}", "--log.every_steps=100", "--checkpoint.every_steps=200"),
    *("--tournament.every=1000", "--tournament.samples=20", "--evaluate.every_steps=null"),
    "--population.vary={optimizer.generator.learning_rate: {log: [0.001, 0.01]}}",
)


def test_it_comes_to_the_same_end(cluster: Cluster, place: Path) -> None:
    words = ("-m", "hpcgan", "train", *WORDS, "--run-dir", "whole")
    done = launching.run(place, *words, ranks=2, timeout=400)
    assert done.returncode == 0, done.stderr
    job = cluster.submit(place, "-N2", SCRIPTS / "train.sbatch", *WORDS)
    run = place / "runs" / "run"
    wait_for_step(job, run / "member_3", 1300)  # it comes second on the second node
    urgent = cluster.submit(
        place, "-N3", "-c2", "-p", "urgent", "-o", "urgent.out", "--wrap", "hostname"
    )
    assert urgent.wait_to_end()["JobState"] == "COMPLETED"  # it had all nodes to itself
    facts = job.wait_to_end(240)
    assert facts["JobState"] == "COMPLETED", job.describe()
    assert facts["Restarts"] == "1"
    assert "a population of 4 on 2 ranks, from tournament " in job.output()
    for member in range(MEMBERS):
        name = f"member_{member}"
        assert difference(run / name, place / "whole" / name, STEPS) == 0
        assert "resumed" in events(run / name)
    lines = [(each / "tournaments.jsonl").read_text() for each in (run, place / "whole")]
    assert lines[0] == lines[1]
    assert len(lines[0].splitlines()) == STEPS // 1000
