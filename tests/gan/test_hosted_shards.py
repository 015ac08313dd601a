"""Shards of a rank that go through the networks together, against one after the other.

What is the same to the last digits but for the order of sums: losses, weights, moving statistics.
Noise, dropout masks and batch statistics are those of each shard.
"""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from hpcgan.all_reduce import identity
from hpcgan.config import (
    Config,
    DataConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    OptimizersConfig,
    TrainConfig,
)
from hpcgan.gan import noise
from hpcgan.gan.models.normalisation import BatchNormalization
from hpcgan.gan.models.together import mixing_layer, shards_together
from hpcgan.gan.state import State
from hpcgan.parallel.synchronous import Synchronous

pytestmark = pytest.mark.usefixtures("unmeasured")

_SHARDS, _STEPS, _BATCH = 4, 3, 4

_DCGAN = {"name": "dcgan"}  # with batch normalisation in G and dropout in D
# Each case: sections of a configuration.
_CASES = {
    "mlp": {},
    "dcgan": {"model": _DCGAN},
    "averaged in two parts": {"model": _DCGAN, "train": {"ema": 0.9, "accumulate": 2}},
    "auxiliary with penalties": {
        "model": {**_DCGAN, "condition": "auxiliary"},
        "loss": {"gradient_penalty": 2.0, "r1": 3.0},
    },
    "alternating, augmented projection": {
        "model": {**_DCGAN, "condition": "projection"},
        "train": {
            "update": "alternating",
            "augment": ["color", "translation", "cutout"],
        },
    },
    "resnet": {
        "model": {"name": "resnet", "attention": True, "condition": "projection"},
        "loss": {"name": "hinge"},
    },
    "volume": {"model": {"name": "volume", "condition": "regression"}},
}
_SHAPES = {"resnet": (16, 16, 1), "volume": (8, 8, 8, 1)}


def _config(case):
    sections = _CASES[case]
    sgd = OptimizerConfig("sgd", learning_rate=0.02)
    model = {"latent_dim": 6, "width": 4, "classes": 3, **sections.get("model", {})}
    return Config(
        data=DataConfig(files=["x"], shards=_SHARDS),
        model=ModelConfig(**model),
        loss=LossConfig(**sections.get("loss", {})),
        optimizer=OptimizersConfig(sgd, sgd),
        train=TrainConfig(batch_size=_BATCH, **sections.get("train", {})),
    )


def _trained(monkeypatch, config, together):
    """Return losses and variables after some steps of fixed batches, at the start and at the end.

    Args:
        monkeypatch: pytest's.
        config: of the run.
        together: shards for which a batch has room.
    """
    # A loop instead of a copy for each batch: the same sums, in less time to compile.
    monkeypatch.setattr("hpcgan.gan.batches.UNROLLED", 1)
    shape = _SHAPES.get(config.model.name, (8, 8, 1))
    state = State(config, shape)
    _make_room(monkeypatch, config, state, together)
    strategy = Synchronous(config, state, "uint8", range(_SHARDS), identity)
    assert strategy.together == together
    rng, per_step = np.random.default_rng(0), _BATCH * config.train.discriminator_steps
    # Shards that differ in their brightness, so that statistics of all would be others.
    samples = rng.integers(0, 120, (_STEPS, _SHARDS, per_step, *shape))
    samples += 40 * np.arange(_SHARDS).reshape(1, -1, *[1] * (len(shape) + 1))
    given = [tf.constant(samples.astype(np.uint8)), tf.constant(5, tf.int64)]
    labels = rng.integers(0, 3, samples.shape[:3])
    if config.model.condition == "regression":
        given.append(tf.constant((labels + 1) / 3, tf.float32))
    elif config.model.condition != "none":
        given.append(tf.constant(labels, tf.int32))
    before = _flat(state)
    losses = strategy.run(*given).losses.numpy()
    return losses, before, _flat(state)


def _make_room(monkeypatch, config, state, together):
    """Let a batch have room for some shards, and no more."""
    networks, room = (state.generator, state.discriminators[0]), 1
    assert [mixing_layer(each) for each in networks] == [None, None]
    batch = config.train.batch_size // config.train.accumulate
    while True:
        monkeypatch.setattr("hpcgan.gan.models.together.PASS_BYTES", room)
        if shards_together(networks, _SHARDS, batch) >= together:
            return
        room *= 2


def _flat(state):
    """Return all variables as one vector."""
    arrays = (array for named in state.arrays().values() for array in named.values())
    return np.concatenate([np.ravel(array).astype(np.float64) for array in arrays])


def _difference(ours, theirs):
    """Return the relative difference of two vectors, in L2."""
    return np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)


@pytest.fixture(scope="module")
def one_by_one():
    """Return a function that gives what one shard after the other makes of a case."""
    with pytest.MonkeyPatch.context() as patch:
        yield functools.cache(lambda case: _trained(patch, _config(case), 1))


@pytest.mark.parametrize(
    ("case", "together"), [(case, 4 if case == "dcgan" else 2) for case in _CASES]
)
def test_shards_together_train_the_same_networks_as_one_after_the_other(
    monkeypatch, one_by_one, case, together
):
    expected_losses, before, expected = one_by_one(case)
    assert _difference(expected, before) > 1e-3  # something was learnt
    losses, _, weights = _trained(monkeypatch, _config(case), together)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-5, atol=1e-6)
    assert _difference(weights, expected) < 1e-5


def _of_all_shards(monkeypatch):
    """Have batches normalised by the statistics of all shards in them."""
    monkeypatch.setattr(BatchNormalization, "call", keras.layers.BatchNormalization.call)


def _of_one_seed(monkeypatch):
    """Give all shards the dropout masks of the first one."""
    seeds = noise.dropout_seeds

    def shared(keys, layers):
        return seeds(tf.repeat(keys[:1], keys.shape[0], 0), layers)

    monkeypatch.setattr(noise, "dropout_seeds", shared)


def _of_one_latent(monkeypatch):
    """Give all shards the latents of the first one."""
    latents = noise.latents

    def shared(keys, count, latent_dim):
        return latents(tf.repeat(keys[:1], keys.shape[0], 0), count, latent_dim)

    monkeypatch.setattr(noise, "latents", shared)


@pytest.mark.parametrize("fault", [_of_all_shards, _of_one_seed, _of_one_latent])
def test_what_shards_would_share_is_seen(monkeypatch, one_by_one, fault):
    """The bound of the test before is a hundredth of what comes of a fault."""
    losses, _, expected = one_by_one("dcgan")
    fault(monkeypatch)
    faulty_losses, _, faulty = _trained(monkeypatch, _config("dcgan"), 4)
    assert _difference(faulty, expected) > 1e-3
    assert np.abs(faulty_losses / losses - 1).max() > 1e-3
