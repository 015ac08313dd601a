"""Checkpoints of small networks whose weights are somewhere, so that all of them matter."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hpcgan.checkpoint import Checkpoint, write
from hpcgan.config import Config, DataConfig, ModelConfig, TrainConfig
from hpcgan.data.sample_info import SampleInfo

CLASSES = ModelConfig(name="dcgan", latent_dim=6, width=4, condition="projection", classes=3)
SHOWERS = ModelConfig(
    name="volume", latent_dim=6, width=2, condition="regression", label_range=[1, 500, -1, 1]
)


def checkpoint_at(
    path: Path,
    model: ModelConfig,
    shape: tuple[int, ...],
    dtype: str = "float32",
    samples: SampleInfo | None = None,
    train: TrainConfig | None = None,
) -> Checkpoint:
    """Write a checkpoint of step 7 to a path, and return it."""
    from hpcgan.gan.state import State

    labels = None if model.condition == "none" else "labels"
    data = DataConfig(files=["x"], shards=1, labels=labels)
    config = Config(data=data, model=model, train=train or TrainConfig())
    groups = State(config, shape).arrays()
    rng = np.random.default_rng(3)
    for group in ("generator", "generator_ema"):
        for name, array in groups.get(group, {}).items():
            if array.dtype == np.float32 and not name.endswith("seed_generator_state"):
                array += rng.uniform(0.01, 0.3, array.shape).astype(np.float32)
    about = (config, shape, dtype, "40 samples", 0, 0, groups, ("0123456789abcdef",))
    found = Checkpoint(path, 7, 70, *about, samples or SampleInfo())
    write(found)
    return found
