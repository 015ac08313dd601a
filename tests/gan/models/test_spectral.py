"""Spectral normalisation, against NumPy's singular values."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from hpcgan.gan.models.spectral import (
    SpectralConv2D,
    SpectralDense,
    SpectralEmbedding,
    power_iteration,
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
