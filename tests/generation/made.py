"""Checkpoints of small untrained generators, from which tests make samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hpcgan.checkpoint import Checkpoint, write
from hpcgan.config import Config, DataConfig, ModelConfig
from hpcgan.data.sample_info import SampleInfo

PLAIN = ModelConfig(name="mlp", latent_dim=6)
CLASSES = ModelConfig(name="dcgan", latent_dim=6, width=2, condition="projection", classes=4)
NAMED = SampleInfo("", ("cat", "dog", "emu", "1"), (5, 0, 1, 2))
SHOWERS = ModelConfig(
    name="volume", latent_dim=6, width=2, condition="regression", label_range=[10, 500]
)
ENERGIES = SampleInfo("scale:0.01,0")


def write_checkpoint(
    path: Path,
    model: ModelConfig = PLAIN,
    samples: SampleInfo | None = None,
    shape: tuple[int, ...] = (8, 8, 1),
) -> Path:
    """Write a checkpoint of networks with other weights than they were built with; return its path.

    As they were built labels would make no difference. Samples are uint8; float32 of volumes.
    """
    from hpcgan.gan.state import State

    labels = None if model.condition == "none" else "labels"
    config = Config(data=DataConfig(files=["x"], shards=1, labels=labels), model=model, seed=3)
    dtype = "uint8" if len(shape) == 3 else "float32"
    groups = State(config, shape).arrays()
    rng = np.random.default_rng(5)
    for array in groups["generator"].values():
        array += rng.uniform(0, 0.5, array.shape).astype(array.dtype)
    about = (config, shape, dtype, "40 samples", 0, 0, groups, ())
    path.parent.mkdir(parents=True, exist_ok=True)
    write(Checkpoint(path, 1, 1, *about, samples or SampleInfo()))
    return path
