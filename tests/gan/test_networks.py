"""The numbers that may change while a run goes on, as the networks take them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from hpcgan.config import Config, DataConfig, LossConfig, ModelConfig
from hpcgan.gan import noise
from hpcgan.gan.networks import Networks
from hpcgan.gan.objective import Batch
from hpcgan.gan.state import State


def gradients(r1: float, values: dict[str, float], later: dict[str, float]) -> np.ndarray:
    """Return D's gradients with ``values`` of the state at first, and others ``later``."""
    config = Config(
        data=DataConfig(files=["x"], shards=1),
        model=ModelConfig(latent_dim=2),
        loss=LossConfig(r1=r1),
    )
    state = State(config, (4, 4, 1))
    state.values = values
    networks = Networks(config, state)
    state.values = later
    networks.refresh(config)
    keys = noise.batch_keys(noise.streams(0, 1, range(1)), tf.constant(0, tf.int64), 0, 1)
    real = tf.reshape(tf.linspace(-1.0, 1.0, 5 * 16), (5, 4, 4, 1))
    objective, batch = networks.objectives[0], Batch(keys, 5, real, None)
    found = objective.discriminator(batch, objective.fake(batch))
    return np.concatenate([np.ravel(each) for each in found.weights])


def test_a_penalty_that_a_member_has_taken_is_used_by_a_run_that_goes_on_with_it() -> None:
    own = {"loss.r1": 0.5}
    without, with_it = gradients(0.0, {}, {}), gradients(0.5, {}, {})
    assert np.abs(without - with_it).max() > 1e-3
    np.testing.assert_array_equal(gradients(0.0, own, own), with_it)
    np.testing.assert_allclose(gradients(0.5, {}, {"loss.r1": 0.0}), without, atol=1e-6)
