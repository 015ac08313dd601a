"""Directories of populations whose members' networks are as they were built."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from hpcgan import checkpoint, population_commit
from hpcgan.checkpoint import Checkpoint
from hpcgan.config import Config, DataConfig, ModelConfig, ParallelConfig
from hpcgan.config_beside import EvaluateConfig
from hpcgan.data.sample_info import SampleInfo
from hpcgan.population_commit import Commit, member_directory

SHAPE = (8, 8, 1)
SAMPLES = 300


def write_data(path: Path, dark: int) -> None:
    """Write samples of which the first are dark, the others bright, as the first members' are."""
    rng = np.random.default_rng(5)
    grey = np.where(np.arange(SAMPLES) < dark, 30, 225)
    noise = rng.normal(0, 12, (SAMPLES, *SHAPE)) + rng.normal(0, 8, (SAMPLES, 1, 1, 1))
    with h5py.File(path, "w") as file:
        file["images"] = np.clip(grey[:, None, None, None] + noise, 0, 255).astype(np.uint8)
        file["labels"] = np.arange(SAMPLES) % 3


def write_population(
    place: Path,
    shifts: list[float | None],
    commit: Commit | None = None,
    model: ModelConfig | None = None,
    held_out: bool = True,
) -> Path:
    """Write a population to ``place / "all"``, and return that; one process alone calls it.

    Args:
        place: holds data.h5, and held-out.h5, of which three in four samples are dark.
        shifts: of each member, what its generator's last layer adds: the samples of a negative one
            are dark; None for a member without a checkpoint.
        commit: how far it has come, if not to the end.
        model: the networks.
        held_out: whether there are held-out data.
    """
    from hpcgan.gan.state import State

    write_data(place / "data.h5", SAMPLES // 2)
    write_data(place / "held-out.h5", SAMPLES * 3 // 4)
    model = model or ModelConfig(latent_dim=6)
    files = [str(place / "held-out.h5")] if held_out else []
    config = Config(
        data=DataConfig([str(place / "data.h5")], shards=1, labels="labels"),
        model=model,
        parallel=ParallelConfig(population=len(shifts)),
        evaluate=EvaluateConfig(held_out=files),
    )
    for member, shift in enumerate(shifts):
        run_dir = member_directory(place / "all", member)
        run_dir.mkdir(parents=True)
        if shift is None:
            continue
        own = replace(config, seed=member, parallel=ParallelConfig())
        groups = State(own, SHAPE).arrays()
        last = [name for name in groups["generator"] if name.endswith("bias")][-1]
        groups["generator"][last] += np.float32(shift)
        counts = (100,) * 3 if model.classes else ()
        path = checkpoint.path_of(run_dir / "checkpoints", 1)
        about = (own, SHAPE, "uint8", f"{SAMPLES} samples", 0, 0, groups, ())
        checkpoint.write(Checkpoint(path, 1, 1, *about, SampleInfo(counts=counts)))
    population_commit.write(place / "all", commit or Commit(config, 0, 1))
    return place / "all"
