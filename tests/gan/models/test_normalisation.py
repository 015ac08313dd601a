"""Batch normalisation over each shard's batch or over all ranks', against Keras and by hand."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from hpcgan.config import ModelConfig
from hpcgan.gan.models.normalisation import (
    BatchNormalization,
    ConditionalScale,
    SynchronisedBatchNormalization,
    normalisation,
    synchronised,
)

_RANDOM = np.random.default_rng(0)


def _normal(*shape):
    return _RANDOM.normal(size=shape).astype("float32")


@pytest.fixture
def bfloat16():
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


def _made(kind, shape, **options):
    """Return a layer with scales and offsets that are not those of the start."""
    layer = kind(**options)
    layer.build(shape)
    layer.gamma.assign([0.5, 2.0, -1.0])
    layer.beta.assign([1.0, 0.0, -3.0])
    return layer


def _trained(layer, x, upstream):
    """Return a training call's output, and the gradients of x, gamma and beta."""
    given = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(given)
        output = layer(given, training=True)
        loss = tf.reduce_sum(output * upstream)
    return output, tape.gradient(loss, [given, layer.gamma.value, layer.beta.value])


@pytest.mark.parametrize("options", [{"axis": 1}, {"renorm": True}])
def test_what_shards_would_not_be_kept_apart_by_is_refused(options):
    with pytest.raises(ValueError, match="channels come last"):
        BatchNormalization(**options)


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("sides", [(), (4, 5)])
def test_each_shards_batch_is_normalised_as_keras_does_it_alone(shards, sides):
    x, upstream = _normal(6, *sides, 3) * 2 + 1, _normal(6, *sides, 3)
    x += np.arange(6).reshape(6, *[1] * (len(sides) + 1))  # so that no two shards are alike
    layer = _made(BatchNormalization, x.shape)
    layer.shards = shards
    output, (of_x, *of_weights) = _trained(layer, x, upstream)
    alone = [_made(keras.layers.BatchNormalization, x.shape, momentum=0.9) for _ in range(shards)]
    expected = [
        _trained(each, *parts)
        for each, *parts in zip(alone, np.split(x, shards), np.split(upstream, shards), strict=True)
    ]
    outputs, gradients = zip(*expected, strict=True)
    np.testing.assert_allclose(output, np.concatenate(outputs), rtol=1e-4, atol=1e-5)
    their_x, *theirs = zip(*gradients, strict=True)
    np.testing.assert_allclose(of_x, np.concatenate(their_x), rtol=1e-3, atol=1e-4)
    for ours, each in zip(of_weights, theirs, strict=True):
        np.testing.assert_allclose(ours, np.sum(each, 0), rtol=1e-3, atol=1e-4)
    for name in ("moving_mean", "moving_variance"):
        mean = np.mean([np.array(getattr(each, name)) for each in alone], 0)
        np.testing.assert_allclose(getattr(layer, name), mean, rtol=1e-4)


def test_the_shards_of_a_batch_do_not_matter_in_use():
    x, layer = _normal(6, 3), BatchNormalization()
    layer(x, training=True)
    output = layer(x)
    layer.shards = 3
    np.testing.assert_array_equal(layer(x), output)


def test_a_shards_statistics_are_float32(bfloat16):
    layer = BatchNormalization()
    layer.shards = 2
    # 1000 ones and 24 zeros, twice: in bfloat16, a sum of ones ends at 256.
    x = np.tile(np.concatenate([np.ones((1000, 1)), np.zeros((24, 1))]), (2, 1))
    assert layer(x, training=True).dtype == tf.bfloat16
    np.testing.assert_allclose(layer.moving_mean, [0.1 * 1000 / 1024], rtol=1e-5)


def test_a_stateless_call_of_several_shards_assigns_nothing():
    layer = BatchNormalization(center=False, scale=False)
    layer.build((None, 3))
    layer.shards = 2
    states = (layer.trainable_variables, layer.non_trainable_variables)
    _, new = layer.stateless_call(*states, _normal(4, 3), training=True)
    for variable, value in zip(layer.non_trainable_variables, new, strict=True):
        assert not np.allclose(variable, value)
    np.testing.assert_array_equal(layer.moving_mean, np.zeros(3))


def _halves(x, upstream):
    """Run two unequal halves of a batch through synchronised layers, with a fake all-reduce.

    That of each adds what the other half's layer would give, which is computed before.
    Returns outputs, gradients of x, gamma and beta (added up), and the first layer.
    """
    parts, upstreams = (x[:2], x[2:]), (upstream[:2], upstream[2:])
    made = [_made(SynchronisedBatchNormalization, part.shape) for part in parts]
    sent = [{}, {}]

    def all_reduce(rank):
        calls = iter(["forward", "backward"])

        def add(vector):
            call = next(calls)
            sent[rank][call] = vector
            return vector + sent[1 - rank].get(call, tf.zeros_like(vector))

        return add

    # Each pass makes one thing of the other half known: first its sums, then its gradients.
    for _ in range(4):
        outputs, gradients = [], []
        for rank, layer in enumerate(made):
            layer.all_reduce = all_reduce(rank)
            layer.moving_mean.assign(np.zeros(3))
            layer.moving_variance.assign(np.ones(3))
            output, of_layer = _trained(layer, parts[rank], upstreams[rank])
            gradients.append(of_layer)
            outputs.append(output)
    of_x, of_gamma, of_beta = zip(*gradients, strict=True)
    summed = [np.concatenate(of_x), np.sum(of_gamma, 0), np.sum(of_beta, 0)]
    return np.concatenate(outputs), summed, made[0]


@pytest.mark.parametrize("sides", [(), (4, 5)])
def test_two_unequal_halves_are_normalised_as_keras_does_the_whole_batch(sides):
    x, upstream = _normal(7, *sides, 3) * 2 + 1, _normal(7, *sides, 3)
    keras_layer = _made(keras.layers.BatchNormalization, x.shape, momentum=0.9)
    output, expected = _trained(keras_layer, x, upstream)
    outputs, gradients, layer = _halves(x, upstream)
    np.testing.assert_allclose(outputs, output, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(layer.moving_mean, keras_layer.moving_mean, rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, keras_layer.moving_variance, rtol=1e-5)
    np.testing.assert_allclose(layer(x), keras_layer(x), rtol=1e-4, atol=1e-5)


def test_without_an_all_reduce_the_statistics_are_the_batchs():
    x = _normal(6, 3)
    layer = SynchronisedBatchNormalization(center=False, scale=False, name="norm")
    output = np.array(layer(x, training=True))
    np.testing.assert_allclose(output, (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3), atol=1e-5)
    assert [v.path for v in layer.variables] == ["norm/moving_mean", "norm/moving_variance"]


class _Holder(keras.Layer):
    """A layer that has others, in a list in a dictionary, and calls none."""

    def __init__(self, *inner):
        super().__init__()
        self.inner = {"a": [tuple(inner)]}
        self.built = True

    def call(self, x):
        return x


def test_synchronised_layers_are_found_wherever_they_are():
    one, two, three, shared = (SynchronisedBatchNormalization(name=n) for n in "abcs")
    inside = keras.Sequential([keras.Input((3,)), two, _Holder(three, keras.layers.Dropout(0.5))])
    x = keras.Input((3,))
    network = keras.Model(x, shared(_Holder(inside, shared)(shared(one(x)))))
    assert sorted(layer.name for layer in synchronised(network)) == ["a", "b", "c", "s"]
    assert synchronised(keras.Sequential([keras.layers.BatchNormalization()])) == []


def test_a_constant_channel_far_from_zero_is_finite():
    layer = SynchronisedBatchNormalization()
    assert np.all(np.isfinite(layer(np.full((1000, 1), 12345.678, "float32"), training=True)))


def test_synchronised_statistics_are_float32(bfloat16):
    layer = SynchronisedBatchNormalization()
    # 1000 ones and 24 zeros: in bfloat16, a sum of ones ends at 256.
    x = np.concatenate([np.ones((1000, 1)), np.zeros((24, 1))])
    assert layer(x, training=True).dtype == tf.bfloat16
    np.testing.assert_allclose(layer.moving_mean, [0.1 * 1000 / 1024], rtol=1e-5)


def test_each_class_has_its_scale_and_offset():
    layer = ConditionalScale(3)
    x = np.arange(8, dtype="float32").reshape(2, 2, 1, 2)
    labels = np.array([2, 0], "int32")
    np.testing.assert_array_equal(layer([x, labels]), x)
    layer.gamma.assign([[1, 2], [3, 4], [5, 6]])
    layer.beta.assign([[0, 1], [0, 0], [-1, 0]])
    expected = [[[[-1, 6]], [[9, 18]]], [[[4, 11]], [[6, 15]]]]
    np.testing.assert_array_equal(layer([x, labels]), expected)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("batch", BatchNormalization),
        ("synchronised", SynchronisedBatchNormalization),
    ],
)
def test_normalisation_is_the_configured_one(kind, expected):
    config = ModelConfig(normalisation=kind, classes=3)
    plain = normalisation(config, "norm_1", None)
    assert type(plain) is expected
    assert (plain.name, plain.center, plain.scale) == ("norm_1", True, True)
    labels = keras.Input((), dtype="int32")
    x = keras.Input((4, 4, 2))
    model = keras.Model([x, labels], normalisation(config, "norm_1", labels)(x))
    assert [tuple(v.shape) for v in model.trainable_variables] == [(3, 2), (3, 2)]
    (norm,) = (layer for layer in model.layers if layer.name == "norm_1")
    assert (norm.center, norm.scale) == (False, False)
