"""Training runs on the testbed: their files, how far they are, and what they have learnt."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
from testbed import ROOT, Job

from hpcgan import checkpoint

SCRIPTS = ROOT / "slurm"

CONFIG = """
name: run
data: {files: [data.h5], shards: 4}
model: {latent_dim: 6}
optimizer:
  generator: {name: sgd, learning_rate: 0.005}
  discriminator: {name: sgd, learning_rate: 0.005}
train: {steps: 60, batch_size: 5}
checkpoint: {every_steps: 4000}
log: {every_steps: 20, samples_every_steps: 100000}
"""


def write_files(place: Path) -> Path:
    """Fill a directory as a user would: config.yaml, data.h5 (40 samples), logs/; return it."""
    (place / "logs").mkdir()
    (place / "config.yaml").write_text(CONFIG)
    with h5py.File(place / "data.h5", "w") as file:
        file["images"] = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), np.uint8)
    return place


def step_of(run: Path) -> int:
    """Return the step of the last whole line of a run's journal, 0 if there is none yet."""
    journal = run / "metrics.jsonl"
    text = journal.read_text().rpartition("\n")[0] if journal.exists() else ""
    return int(json.loads(text.splitlines()[-1])["step"]) if text else 0


def events(run: Path) -> list[str]:
    """Return what the run's history tells, in order: started, stopped, resumed, finished ...

    What is said of the GAN, figures and warnings, is left out.
    """
    history = run / "history.jsonl"
    lines = history.read_text().splitlines() if history.exists() else []
    told = [json.loads(line) for line in lines]
    of_gan = ("floors", "evaluated", "warning")
    return [str(each["event"]) for each in told if each["event"] not in of_gan]


def wait_for_step(job: Job, run: Path, step: int, seconds: float = 120) -> None:
    """Return when a run has come as far as a step."""
    job.wait_until(lambda: step_of(run) >= step, f"step {step} in {run}", seconds)


def weights(run: Path, step: int) -> np.ndarray:
    """Return all weights of all networks after a step, as one vector."""
    groups = checkpoint.read(checkpoint.path_of(run / "checkpoints", step)).groups
    arrays = [
        groups[group][name].ravel()
        for group in sorted(groups)
        if not group.endswith(("optimizer", "versions"))
        for name in sorted(groups[group])
    ]
    return np.concatenate(arrays).astype(np.float64)


def difference(run: Path, other: Path, step: int) -> float:
    """Return the relative distance of two runs' weights after a step."""
    ours, theirs = weights(run, step), weights(other, step)
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))
