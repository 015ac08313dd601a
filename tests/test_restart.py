"""A run that goes on, in the middle of an epoch, on another number of ranks."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from hpcgan import checkpoint

# Shards of 10 samples: an epoch is 2.5 steps, and step 7 is in the middle of the third.
_CONFIG = """
data: {files: [data.h5], shards: 4}
model: {name: dcgan, latent_dim: 6, width: 4}
optimizer:
  generator: {name: sgd, learning_rate: 0.005}
  discriminator: {name: sgd, learning_rate: 0.005}
train: {steps: 14, batch_size: 4, ema: 0.9}
checkpoint: {every_steps: 7}
"""


def _weights(run: Path, step: int) -> np.ndarray:
    """Return all weights of the networks after a step."""
    groups = checkpoint.read(checkpoint.path_of(run / "checkpoints", step)).groups
    arrays = [
        groups[group][name].ravel()
        for group in ("generator", "discriminator", "generator_ema")
        for name in sorted(groups[group])
    ]
    return np.concatenate(arrays).astype(np.float64)


def test_a_run_of_four_ranks_goes_on_with_one_or_three(
    python, data_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text(_CONFIG)
    words = ["-m", "hpcgan", "train", "config.yaml", "--run-dir"]
    whole = python(*words, "whole", ranks=4)
    assert whole.returncode == 0, whole.stderr
    expected = _weights(tmp_path / "whole", 14)
    half = _weights(tmp_path / "whole", 7)
    assert np.linalg.norm(half - expected) / np.linalg.norm(expected) > 1e-3
    for ranks in (1, 3):  # which host as many shards each, or not
        # The first half is that of four ranks: the run is gone on from its checkpoint of step 7.
        shutil.copytree(tmp_path / "whole", tmp_path / f"on-{ranks}")
        checkpoint.path_of(tmp_path / f"on-{ranks}" / "checkpoints", 14).unlink()
        rest = python(*words, f"on-{ranks}", ranks=ranks)
        assert rest.returncode == 0, rest.stderr
        assert "step_00000007.h5, step 7, in" in rest.stdout
        ours = _weights(tmp_path / f"on-{ranks}", 14)
        assert np.linalg.norm(ours - expected) / np.linalg.norm(expected) < 1e-5
