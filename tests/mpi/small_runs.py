"""Whole runs of small networks, by all ranks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from hpcgan import checkpoint
from hpcgan.training import directory, plan
from hpcgan.training.stop import Request
from hpcgan.world import World

SHARDS = 4
SAMPLES = 86  # shards of 21 and 22


class SmallRun(NamedTuple):
    """A run that was made.

    Attributes:
        config: path of its configuration.
        directory: of the run.
    """

    config: str
    directory: Path


def write_config(world: World, place: Path, **sections: Any) -> str:
    """Write data and a configuration to a shared directory; return the configuration's path."""

    def write() -> None:
        rng = np.random.default_rng(3)
        with h5py.File(place / "data.h5", "w") as file:
            file["images"] = rng.integers(0, 256, (SAMPLES, 8, 8, 1), np.uint8)
            file["labels"] = np.arange(SAMPLES) % 3
        content = {
            "data": {"files": [str(place / "data.h5")], "shards": SHARDS},
            "model": {"latent_dim": 6},
            "train": {"steps": 10, "batch_size": 5},
            "checkpoint": {"every_steps": 5, "keep": 10},
            "log": {"every_steps": 5},
            "evaluate": {"every_steps": None},  # but in the tests of it
            **sections,
        }
        # JSON is YAML.
        (place / "config.yaml").write_text(json.dumps(content))

    world.on_root(write)
    return str(place / "config.yaml")


def train(world: World, config: str, run_dir: Path, *options: str, resume: str = "auto") -> None:
    """Train as ``hpcgan train`` does."""
    from hpcgan.training import run

    decided, run_dir = plan.configure(world, config, list(options), run_dir)
    with directory.held(world, decided, run_dir, resume, environment={}) as made:
        run.train(world, made, Request(None, {}))


def variables(world: World, run_dir: Path, step: int) -> dict[str, np.ndarray]:
    """Return all variables of a checkpoint on rank 0; none on others."""
    if not world.is_root:
        return {}
    groups = checkpoint.read(checkpoint.path_of(run_dir / "checkpoints", step)).groups
    return {f"{group}/{name}": a for group, named in groups.items() for name, a in named.items()}


def check_same(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    """Check that the variables of two checkpoints are the same, bit for bit."""
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array, err_msg=name)
