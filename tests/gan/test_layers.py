"""The own layers, against other ways of computing the same."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from hpcgan.config import ModelConfig
from hpcgan.gan.models.layers import (
    ConditionalScale,
    SelfAttention2D,
    SpectralConv2D,
    SpectralDense,
    SpectralEmbedding,
    SynchronisedBatchNormalization,
    normalisation,
    power_iteration,
    synchronised,
)

_RANDOM = np.random.default_rng(0)


def _normal(*shape):
    return _RANDOM.normal(size=shape).astype("float32")


_SPECTRAL = [
    (lambda: SpectralConv2D(5, 3, use_bias=False), _normal(2, 4, 4, 3)),
    (lambda: SpectralDense(5, use_bias=False), _normal(2, 7)),
    (lambda: SpectralEmbedding(6, 5), np.array([1, 3])),
]


def _largest_singular_value(weight):
    return np.linalg.svd(np.reshape(weight, (-1, weight.shape[-1])))[1][0]


@pytest.fixture
def bfloat16():
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(("make", "inputs"), _SPECTRAL)
def test_the_weight_is_divided_by_its_largest_singular_value_after_some_training_calls(
    make, inputs
):
    keras.utils.set_random_seed(0)
    layer = make()
    early = np.array(layer(inputs))
    for _ in range(300):
        layer(inputs, training=True)
    weight = np.array(layer.trainable_variables[0])
    plain = {
        SpectralConv2D: lambda w: keras.ops.conv(inputs, w),
        SpectralDense: lambda w: inputs @ w,
        SpectralEmbedding: lambda w: w[inputs],
    }[type(layer)]
    expected = np.array(plain(weight / _largest_singular_value(weight)))
    np.testing.assert_allclose(layer(inputs), expected, rtol=1e-4, atol=1e-6)
    assert not np.allclose(early, expected, rtol=1e-4, atol=1e-6)


def test_one_iteration_is_that_of_the_paper():
    kernel, u = np.array([[3.0, 0.0], [4.0, 5.0]], "float32"), np.array([0.6, 0.8], "float32")
    v = kernel @ u / np.linalg.norm(kernel @ u)
    expected = kernel.T @ v / np.linalg.norm(kernel.T @ v)
    sigma, new_u = power_iteration(tf.constant(kernel), tf.constant(u))
    np.testing.assert_allclose(new_u, expected, rtol=1e-5)
    np.testing.assert_allclose(sigma, v @ kernel @ expected, rtol=1e-5)


def test_the_kernel_stays_as_it_is_and_only_training_moves_u():
    layer = SpectralDense(5)
    inputs = _normal(2, 7)
    layer(inputs)
    kernel, u = np.array(layer.kernel), np.array(layer.u)
    layer(inputs, training=False)
    np.testing.assert_array_equal(layer.u, u)
    layer(inputs, training=True)
    assert not np.allclose(layer.u, u)
    np.testing.assert_array_equal(layer.kernel, kernel)
    assert np.linalg.norm(layer.u) == pytest.approx(1, abs=1e-6)


def test_a_stateless_call_returns_the_new_u_and_assigns_nothing():
    layer = SpectralDense(5)
    inputs = _normal(2, 7)
    layer(inputs)
    u = np.array(layer.u)
    states = (layer.trainable_variables, layer.non_trainable_variables)
    _, (returned,) = layer.stateless_call(*states, inputs, training=True)
    np.testing.assert_array_equal(layer.u, u)
    layer(inputs, training=True)
    np.testing.assert_allclose(returned, layer.u, rtol=1e-5, atol=1e-6)


def test_the_seed_decides_the_first_u():
    def first_u(seed):
        keras.utils.set_random_seed(seed)
        layer = SpectralDense(5)
        layer.build((None, 7))
        return np.array(layer.u)

    np.testing.assert_array_equal(first_u(1), first_u(1))
    assert not np.allclose(first_u(1), first_u(2))


def test_the_gradient_goes_through_the_singular_value():
    keras.utils.set_random_seed(0)
    layer = SpectralDense(4, use_bias=False)
    inputs, weights = _normal(3, 6), _normal(3, 4)
    for _ in range(500):
        layer(inputs, training=True)
    kernel = np.array(layer.kernel, np.float64)

    def loss(kernel):
        return np.sum(inputs @ kernel / _largest_singular_value(kernel) * weights)

    numerical = np.zeros_like(kernel)
    for index in np.ndindex(*kernel.shape):
        step = np.zeros_like(kernel)
        step[index] = 1e-5
        numerical[index] = (loss(kernel + step) - loss(kernel - step)) / 2e-5
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(layer(inputs) * weights)
    gradient = tape.gradient(value, layer.trainable_variables)[0]
    np.testing.assert_allclose(gradient, numerical, rtol=1e-3, atol=1e-4)


def test_a_kernel_of_zeros_gives_zeros():
    layer = SpectralDense(4, kernel_initializer="zeros")
    np.testing.assert_array_equal(layer(_normal(3, 6), training=True), np.zeros((3, 4)))


def test_the_singular_value_is_computed_in_float32(bfloat16):
    layer = SpectralDense(5, use_bias=False)
    inputs = np.eye(7, dtype="float32")
    for _ in range(300):
        output = layer(inputs, training=True)
    assert output.dtype == tf.bfloat16
    kernel = np.array(layer.kernel)
    exact = kernel / _largest_singular_value(kernel)
    # What differs from float32 is one rounding to 8 bits at the end.
    np.testing.assert_allclose(tf.cast(output, tf.float32), exact, rtol=2**-8, atol=1e-6)


def _halves(x, upstream):
    """Run two unequal halves of a batch through synchronised layers, with a fake exchange.

    The exchange of each adds what the other half's layer would give, which is computed before.
    Returns outputs, gradients of x, gamma and beta (added up), and the first layer.
    """
    parts, upstreams = (x[:2], x[2:]), (upstream[:2], upstream[2:])
    made = [SynchronisedBatchNormalization() for _ in parts]
    for layer, part in zip(made, parts, strict=True):
        layer.build(part.shape)
        layer.gamma.assign([0.5, 2.0, -1.0])
        layer.beta.assign([1.0, 0.0, -3.0])
    sent = [{}, {}]

    def exchange(rank):
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
            layer.exchange = exchange(rank)
            layer.moving_mean.assign(np.zeros(3))
            layer.moving_variance.assign(np.ones(3))
            given = tf.constant(parts[rank])
            with tf.GradientTape() as tape:
                tape.watch(given)
                output = layer(given, training=True)
                loss = tf.reduce_sum(output * upstreams[rank])
            gradients.append(tape.gradient(loss, [given, layer.gamma.value, layer.beta.value]))
            outputs.append(output)
    of_x, of_gamma, of_beta = zip(*gradients, strict=True)
    summed = [np.concatenate(of_x), np.sum(of_gamma, 0), np.sum(of_beta, 0)]
    return np.concatenate(outputs), summed, made[0]


@pytest.mark.parametrize("sides", [(), (4, 5)])
def test_two_unequal_halves_are_normalised_as_keras_does_the_whole_batch(sides):
    x, upstream = _normal(7, *sides, 3) * 2 + 1, _normal(7, *sides, 3)
    keras_layer = keras.layers.BatchNormalization(momentum=0.9)
    keras_layer.build(x.shape)
    keras_layer.gamma.assign([0.5, 2.0, -1.0])
    keras_layer.beta.assign([1.0, 0.0, -3.0])
    given = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(given)
        output = keras_layer(given, training=True)
        loss = tf.reduce_sum(output * upstream)
    expected = tape.gradient(loss, [given, keras_layer.gamma.value, keras_layer.beta.value])

    outputs, gradients, layer = _halves(x, upstream)
    np.testing.assert_allclose(outputs, output, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(layer.moving_mean, keras_layer.moving_mean, rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, keras_layer.moving_variance, rtol=1e-5)
    np.testing.assert_allclose(layer(x), keras_layer(x), rtol=1e-4, atol=1e-5)


def test_without_an_exchange_the_statistics_are_the_batchs():
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


@pytest.mark.parametrize("spectral", [False, True])
def test_attention_begins_as_the_identity(spectral):
    layer = SelfAttention2D(spectral, name="attention")
    x = _normal(2, 5, 6, 16)
    np.testing.assert_array_equal(layer(x, training=True), x)
    assert sum(v.path.endswith("/u") for v in layer.variables) == (4 if spectral else 0)
    assert len({v.path for v in layer.variables}) == len(layer.variables)
    before = [np.array(v) for v in layer.non_trainable_variables]
    layer(x, training=True)
    after = [np.array(v) for v in layer.non_trainable_variables]
    moved = [not np.allclose(a, b) for a, b in zip(before, after, strict=True)]
    # The queries and keys, of 2 outputs, and the values may have converged; the results have not.
    assert any(moved) is spectral


def test_attention_by_hand():
    layer = SelfAttention2D(False)
    x = _normal(2, 4, 6, 16)
    layer(x)
    layer.gamma.assign(0.7)
    query, key, value, result = (
        np.array(each.kernel)[0, 0] for each in (layer.query, layer.key, layer.value, layer.result)
    )

    def pooled(y):
        return y.reshape(2, 2, 2, 3, 2, -1).max((2, 4)).reshape(2, 6, -1)

    scores = (x @ query).reshape(2, 24, 2) @ pooled(x @ key).transpose(0, 2, 1)
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    attended = (weights @ pooled(x @ value)).reshape(2, 4, 6, 2)
    np.testing.assert_allclose(layer(x), x + 0.7 * attended @ result, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("batch", keras.layers.BatchNormalization),
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
