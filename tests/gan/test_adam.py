"""Adam in one kernel: the numbers of the paper, worked out by NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from hpcgan.gan.adam import Adam


@pytest.mark.parametrize("compiled", [False, True])
def test_steps_are_those_of_the_paper(compiled: bool) -> None:
    rate, beta_1, beta_2, epsilon = 0.01, 0.5, 0.9, 1e-7
    start = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    variables = [keras.Variable(start), keras.Variable(start[0])]
    optimizer = Adam(rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)
    optimizer.build(variables)

    def apply(gradient: tf.Tensor) -> None:
        optimizer.apply([gradient, gradient[0]], variables)

    step = tf.function(apply) if compiled else apply
    theta, m, v = start.astype(np.float64), 0.0, 0.0
    for t in range(1, 8):
        gradient = np.random.default_rng(t).normal(size=(3, 4))
        step(tf.constant(gradient, tf.float32))
        m = beta_1 * m + (1 - beta_1) * gradient
        v = beta_2 * v + (1 - beta_2) * gradient**2
        # The efficient order of section 2, in which epsilon is added to the uncorrected root.
        alpha = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        theta = theta - alpha * m / (np.sqrt(v) + epsilon)
        np.testing.assert_allclose(np.array(variables[0]), theta, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(np.array(variables[1]), theta[0], rtol=1e-5, atol=1e-6)
    assert int(optimizer.iterations) == 7


def test_its_variables_are_those_of_keras() -> None:
    variables = [keras.Variable(np.zeros((2, 3)), name="kernel")]
    ours, theirs = Adam(name="adam"), keras.optimizers.Adam(name="adam")
    for optimizer in (ours, theirs):
        optimizer.build(variables)
    assert [v.path for v in ours.variables] == [v.path for v in theirs.variables]


def test_some_of_its_variables_alone_are_refused() -> None:
    variables = [keras.Variable(np.zeros(3)), keras.Variable(np.zeros(3))]
    optimizer = Adam()
    optimizer.build(variables)
    with pytest.raises(ValueError, match="all variables that it was built for"):
        optimizer.apply([tf.zeros(3)], variables[1:])
