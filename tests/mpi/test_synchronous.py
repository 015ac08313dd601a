"""What is synchronous training's own; what every way of training must hold is in ``test_ways``."""

from __future__ import annotations

import numpy as np

from tests.mpi.small_runs import train, variables, write_config
from tests.mpi.ways import relative_difference


def test_gradients_sent_in_half_precision_train_about_the_same_networks(world, shared_path):
    sgd = {"name": "sgd", "learning_rate": 0.005}
    config = write_config(world, shared_path, optimizer={"generator": sgd, "discriminator": sgd})
    train(world, config, shared_path / "whole")
    start, whole = (_networks(world, shared_path / "whole", step) for step in (0, 10))
    # One is enough on more, which share two cores.
    for compression in ("fp16", "bf16")[: 1 if world.size > 2 else 2]:
        run = shared_path / compression
        train(world, config, run, f"--parallel.compression={compression}")
        half = _networks(world, run, 10)
        if world.is_root:
            moved = relative_difference(whole, start)
            assert relative_difference(half, whole) < 0.02 * moved
            assert np.array_equal(half, whole) == (world.size == 1)


def _networks(world, run_dir, step):
    """Return the networks of a checkpoint as one vector, on rank 0."""
    arrays = variables(world, run_dir, step)
    names = [name for name in sorted(arrays) if "optimizer" not in name]
    return np.concatenate([arrays[name].ravel() for name in names]) if names else None
