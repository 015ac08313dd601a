"""The gradient penalties, against critics whose gradients are known."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from hpcgan.gan.penalties import gradient_penalty, r1

_KEYS = tf.constant([[3, 4]])  # of one shard
_RNG = np.random.default_rng(0)
_REAL = _RNG.normal(size=(5, 4)).astype(np.float32)
_FAKE = _RNG.normal(size=(5, 4)).astype(np.float32)
_W = _RNG.normal(size=(3, 4)).astype(np.float32)
_V = _RNG.normal(size=3).astype(np.float32)


def _linear(w):
    return lambda x: tf.matmul(x, tf.constant(w, tf.float32, shape=(len(w), 1)))


def _between():
    """Return the samples that the penalty looks at, as a critic sees them."""
    seen = []

    def critic(x):
        seen.append(x.numpy())
        return tf.reduce_sum(x, axis=1, keepdims=True)

    gradient_penalty(critic, tf.constant(_REAL), tf.constant(_FAKE), _KEYS)
    return seen[0]


def test_the_penalty_of_a_linear_critic():
    # The gradient is w everywhere: (||(3, 4)|| - 1)^2 = (5 - 1)^2.
    real, fake = tf.constant([[1.0, 2.0], [0.0, 5.0]]), tf.constant([[7.0, -1.0], [2.0, 2.0]])
    assert gradient_penalty(_linear([3, 4]), real, fake, _KEYS).numpy() == pytest.approx(16.0)


def test_the_norm_of_an_image_is_over_all_its_axes():
    # The gradient is 2 at each of 2 x 2 x 3 values: (sqrt(12 * 4) - 1)^2.
    images = tf.zeros((3, 2, 2, 3))

    def critic(x):
        return 2 * tf.reduce_sum(x, axis=[1, 2, 3])[:, None]

    assert gradient_penalty(critic, images, images, _KEYS).numpy() == pytest.approx(
        (np.sqrt(48) - 1) ** 2
    )
    assert r1(critic, images).numpy() == pytest.approx(48 / 2)


def test_the_penalty_of_a_quadratic_critic_is_the_mean_over_samples():
    a = np.array([1.0, -2.0, 0.5, 3.0], np.float32)
    penalty = gradient_penalty(
        lambda x: tf.reduce_sum(a * x**2, axis=1, keepdims=True),
        tf.constant(_REAL),
        tf.constant(_FAKE),
        _KEYS,
    )
    norms = np.linalg.norm(2 * a * _between(), axis=1)  # the gradient is 2 a x
    assert penalty.numpy() == pytest.approx(np.mean((norms - 1) ** 2), rel=1e-5)


def test_each_sample_has_its_own_place_between_real_and_fake():
    e = (_between() - _REAL) / (_FAKE - _REAL)
    np.testing.assert_allclose(e, np.broadcast_to(e[:, :1], e.shape), atol=1e-4)
    assert (e > -1e-4).all()
    assert (e < 1 + 1e-4).all()
    assert np.ptp(e[:, 0]) > 0.1


def test_places_are_uniform():
    seen = []

    def critic(x):
        seen.append(x.numpy())
        return x

    gradient_penalty(critic, tf.zeros((10000, 1)), tf.ones((10000, 1)), _KEYS)
    # 1000 are expected in each tenth, with a standard deviation of 30.
    counts, _ = np.histogram(seen[0], bins=10, range=(0, 1))
    assert counts.sum() == 10000
    assert (abs(counts - 1000) < 150).all()


def test_places_depend_on_the_key_alone():
    def penalty(keys):
        critic = lambda x: tf.reduce_sum(x**2, axis=1, keepdims=True)  # noqa: E731
        return gradient_penalty(critic, tf.constant(_REAL), tf.constant(_FAKE), keys).numpy()

    assert penalty(tf.constant([[3, 4]])) == penalty(tf.constant([[3, 4]]))
    assert penalty(tf.constant([[3, 4]])) != penalty(tf.constant([[3, 5]]))


def test_places_of_each_shards_samples_are_drawn_from_its_own_key():
    def places(samples, keys):
        seen = []

        def critic(x):
            seen.append(x.numpy())
            return x

        gradient_penalty(critic, tf.zeros((samples, 1)), tf.ones((samples, 1)), keys)
        return seen[0]

    keys = tf.constant([[3, 4], [3, 5], [4, 4]])
    alone = [places(5, keys[shard : shard + 1]) for shard in range(3)]
    np.testing.assert_array_equal(places(15, keys), np.concatenate(alone))
    assert len(np.unique(alone)) == 15


def test_r1_of_a_linear_critic():
    # ||(3, 4)||^2 / 2
    assert r1(_linear([3, 4]), tf.ones((7, 2))).numpy() == pytest.approx(12.5)


def test_r1_of_a_quadratic_critic_is_the_mean_over_samples():
    # The gradient of x1^2 + 3 x2 is (2 x1, 3): at (1, 0) 4 + 9, at (-2, 5) 16 + 9.
    real = tf.constant([[1.0, 0.0], [-2.0, 5.0]])
    penalty = r1(lambda x: x[:, :1] ** 2 + 3 * x[:, 1:], real)
    assert penalty.numpy() == pytest.approx((13 + 25) / 2 / 2)


def _tanh_gradients(w, x):
    """Return the gradients at x of v . tanh(W x), in NumPy: W^T (v (1 - tanh^2(W x)))."""
    return (_V * (1 - np.tanh(x @ w.T) ** 2)) @ w


def _numpy_penalty(w):
    return np.mean((np.linalg.norm(_tanh_gradients(w, _between()), axis=1) - 1) ** 2)


def _numpy_r1(w):
    return np.mean(np.sum(_tanh_gradients(w, _REAL) ** 2, axis=1)) / 2


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", ["gradient_penalty", "r1"])
def test_the_gradient_by_the_critics_weights_is_that_of_finite_differences(name, compiled):
    def gradient(w):
        def critic(x):
            return tf.matmul(tf.tanh(tf.matmul(x, w, transpose_b=True)), _V[:, None])

        with tf.GradientTape() as tape:
            tape.watch(w)
            if name == "r1":
                penalty = r1(critic, tf.constant(_REAL))
            else:
                penalty = gradient_penalty(critic, tf.constant(_REAL), tf.constant(_FAKE), _KEYS)
        return tape.gradient(penalty, w)

    reference = {"gradient_penalty": _numpy_penalty, "r1": _numpy_r1}[name]
    w, h = _W.astype(np.float64), 1e-5
    expected = np.zeros_like(w)
    for place in np.ndindex(w.shape):
        change = np.zeros_like(w)
        change[place] = h
        expected[place] = (reference(w + change) - reference(w - change)) / (2 * h)
    got = (tf.function(gradient) if compiled else gradient)(tf.constant(_W))
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


def test_a_flat_critic_has_a_finite_gradient():
    w = tf.zeros((4, 1))
    with tf.GradientTape() as tape:
        tape.watch(w)
        penalty = gradient_penalty(
            lambda x: tf.matmul(x, w), tf.constant(_REAL), tf.constant(_FAKE), _KEYS
        )
    assert penalty.numpy() == pytest.approx(1.0, rel=1e-5)  # (0 - 1)^2
    np.testing.assert_array_equal(tape.gradient(penalty, w), np.zeros((4, 1)))


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_norms_of_a_half_precision_critic_are_float32(dtype):
    # 4 * 256^2 = 512^2 is more than the largest float16, 65504.
    def critic(x):
        return tf.matmul(tf.cast(x, dtype), tf.fill((4, 1), tf.constant(256.0, dtype)))

    half = tf.cast(_REAL, dtype)
    penalty = gradient_penalty(critic, half, tf.constant(_FAKE), _KEYS)
    assert penalty.dtype == tf.float32
    assert penalty.numpy() == pytest.approx(511.0**2)
    assert r1(critic, half).numpy() == pytest.approx(512.0**2 / 2)


@pytest.mark.parametrize(("name", "size"), [("gradient_penalty", 3e-6), ("r1", 1e-8)])
def test_small_gradients_are_scaled_on_their_way_through_a_half_precision_critic(name, size):
    """The smallest float16 is 6e-8: without a scale they have lost digits, or are 0."""
    fake = tf.constant(_FAKE)

    def taught(dtype, scale):
        w, v = tf.constant(_W), tf.constant(size * _V[:, None])

        def critic(x):
            hidden = tf.tanh(tf.matmul(tf.cast(x, dtype), tf.cast(w, dtype), transpose_b=True))
            return tf.matmul(tf.cast(hidden, tf.float32), v)

        with tf.GradientTape() as tape:
            tape.watch(v)
            if name == "r1":
                penalty = r1(critic, tf.constant(_REAL), scale) / size**2
            else:
                penalty = gradient_penalty(critic, tf.constant(_REAL), fake, _KEYS, scale)
        return np.array([penalty, *tf.squeeze(tape.gradient(penalty, v)) * size])

    exact = taught(tf.float32, None)
    scaled = taught(tf.float16, tf.constant(2.0**15))
    np.testing.assert_allclose(scaled, exact, rtol=5e-3)
    assert not np.allclose(taught(tf.float16, None), exact, rtol=5e-2, atol=0)
