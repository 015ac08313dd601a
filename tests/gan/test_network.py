"""A network: what it computes of several shards, and how its weights and averages move."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from hpcgan import varied
from hpcgan.config import Config, DataConfig, OptimizerConfig, OptimizersConfig, TrainConfig
from hpcgan.gan.models.layers import Dropout
from hpcgan.gan.models.normalisation import BatchNormalization
from hpcgan.gan.network import Network, Version

GRADIENTS = [np.array([[3.0], [0.0]], np.float32), np.array([4.0], np.float32)]  # of norm 5
KEYS = tf.constant([[1, 2], [3, 4], [5, 6]], tf.int64)


def _network(clip_norm=None, backoff=1.0, inner=(), **both):
    """Return a network of a dense layer, after others."""
    model = keras.Sequential([keras.Input((2,)), *inner, layers.Dense(1, name="d")], name="m")
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build(model.trainable_variables)
    own = OptimizerConfig("sgd", learning_rate=1.0, clip_norm=clip_norm)
    config = Config(
        data=DataConfig(files=[], shards=4),
        optimizer=OptimizersConfig(own, own, **both),
        train=TrainConfig(steps=100),
    )
    return Network(
        model, optimizer, config, "generator", varied.in_use(config), tf.Variable(backoff)
    )


def _moved(network, gradients, step=0):
    """Return by how much a step of gradient descent moves the weights."""
    before = [np.array(w) for w in network.weights]
    network.apply_gradients([tf.constant(g) for g in gradients], [], tf.constant(step, tf.int64))
    return [b - np.array(w) for b, w in zip(before, network.weights, strict=True)]


def test_gradients_are_applied_as_they_are() -> None:
    for moved, gradient in zip(_moved(_network(), GRADIENTS), GRADIENTS, strict=True):
        np.testing.assert_allclose(moved, gradient, rtol=1e-6)


def test_all_gradients_together_are_clipped_to_a_norm() -> None:
    for moved, gradient in zip(_moved(_network(clip_norm=0.5), GRADIENTS), GRADIENTS, strict=True):
        np.testing.assert_allclose(moved, gradient / 10, rtol=1e-5)
    for moved, gradient in zip(_moved(_network(clip_norm=6.0), GRADIENTS), GRADIENTS, strict=True):
        np.testing.assert_allclose(moved, gradient, rtol=1e-5)


def test_a_rollback_lowers_the_learning_rate() -> None:
    for moved, gradient in zip(_moved(_network(backoff=0.25), GRADIENTS), GRADIENTS, strict=True):
        np.testing.assert_allclose(moved, gradient / 4, rtol=1e-6)


def test_the_learning_rate_follows_its_schedule() -> None:
    network = _network(scaling="sqrt", warmup_steps=10, decay="linear")
    # Half of the warm-up, of a rate twice as large for four shards: 2 * 5 / 10.
    np.testing.assert_allclose(_moved(network, GRADIENTS, step=4)[1], [4.0], rtol=1e-5)
    # After it; half of the decay from step 10 to 100 is over: 2 * 0.5.
    np.testing.assert_allclose(_moved(network, GRADIENTS, step=55)[1], [4.0], rtol=1e-5)


@pytest.mark.parametrize(
    "inner",
    [
        lambda: [layers.Dense(8), BatchNormalization(), Dropout(0.5), Dropout(0.2)],
        # Which mix the samples of a batch, or draw for all of them at once.
        lambda: [layers.Dense(8), layers.BatchNormalization(), layers.Dropout(0.5)],
    ],
    ids=["ours", "of Keras"],
)
def test_several_shards_give_what_each_gives_alone_and_assign_nothing(inner) -> None:
    network = _network(inner=inner())
    before = [np.array(variable) for variable in [*network.weights, *network.statistics]]
    inputs = tf.constant(np.random.default_rng(0).normal(size=(12, 2)), tf.float32)
    inputs += tf.repeat([0.0, 1.0, 3.0], 4)[:, None]  # of statistics that differ
    version = network.version()
    (outputs,), statistics = network.forward(version, KEYS, inputs)
    alone = [
        network.forward(version, KEYS[shard : shard + 1], inputs[4 * shard : 4 * shard + 4])
        for shard in range(3)
    ]
    np.testing.assert_allclose(outputs, tf.concat([o for (o,), _ in alone], 0), rtol=1e-5)
    for mean, each in zip(statistics, zip(*(s for _, s in alone), strict=True), strict=True):
        np.testing.assert_allclose(mean, np.mean(each, 0), rtol=1e-5)
        assert not np.allclose(each[0], each[1])
    after = [np.array(variable) for variable in [*network.weights, *network.statistics]]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_outputs_follow_the_weights_that_are_given() -> None:
    network, inputs = _network(), tf.ones((3, 2))
    kernel, bias = network.version().weights
    (plain,), _ = network.forward(Version([kernel, bias], []), KEYS, inputs)
    (more,), _ = network.forward(Version([kernel, bias + 2.0], []), KEYS, inputs)
    np.testing.assert_allclose(more, plain + 2.0, rtol=1e-6)
