"""The value functions, against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from hpcgan.gan.losses import auxiliary_classes, auxiliary_regression, make_loss

_LN2, _LN3, _LN4 = math.log(2), math.log(3), math.log(4)
_NAMES = ["non_saturating", "minimax", "hinge", "wasserstein", "least_squares"]


def _logits(*values, dtype=tf.float32):
    return tf.constant([[v] for v in values], dtype)


def _discriminator(name, real, fake, smoothing=None):
    loss = make_loss(name, smoothing)
    return loss.discriminator(real, fake).numpy()


def _generator(name, fake):
    return make_loss(name).generator(fake).numpy()


@pytest.mark.parametrize("name", ["non_saturating", "minimax"])
def test_an_undecided_discriminator_loses_two_ln_2(name):
    assert _discriminator(name, _logits(0, 0), _logits(0, 0)) == pytest.approx(2 * _LN2)


@pytest.mark.parametrize("name", ["non_saturating", "minimax"])
def test_the_discriminator_loses_the_cross_entropy(name):
    # sigmoid(ln 3) = 3/4, sigmoid(-ln 3) = 1/4
    real, fake = _logits(_LN3, 0), _logits(-_LN3, _LN3)
    expected = (-math.log(3 / 4) + _LN2) / 2 + (-math.log(3 / 4) + _LN4) / 2
    assert _discriminator(name, real, fake) == pytest.approx(expected)


def test_the_hinge_loss_counts_what_is_within_the_margin():
    # Real 2 is beyond 1 and costs nothing, 0.5 costs 0.5; fake -3 nothing, 0.5 costs 1.5.
    assert _discriminator("hinge", _logits(2, 0.5), _logits(-3, 0.5)) == pytest.approx(
        (0 + 0.5) / 2 + (0 + 1.5) / 2
    )


def test_the_wasserstein_critic_loses_what_it_gives_to_generated_samples_above_real_ones():
    # mean(1, -4) - mean(2, 5) = -1.5 - 3.5
    assert _discriminator("wasserstein", _logits(2, 5), _logits(1, -4)) == pytest.approx(-5.0)


def test_the_least_squares_discriminator_aims_at_1_and_0():
    # Real: ((3 - 1)^2 + (0.5 - 1)^2) / 2 = 2.125; fake: (2^2 + (-1)^2) / 2 = 2.5; half of both.
    assert _discriminator("least_squares", _logits(3, 0.5), _logits(2, -1)) == pytest.approx(
        (2.125 + 2.5) / 2
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("non_saturating", (-math.log(3 / 4) + _LN4) / 2),  # -log D
        ("minimax", (-_LN4 + math.log(3 / 4)) / 2),  # log(1 - D)
    ],
)
def test_the_generator_loses_by_ds_probability(name, expected):
    assert _generator(name, _logits(_LN3, -_LN3)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hinge", -1.0),  # -(3 - 1) / 2
        ("wasserstein", -1.0),
        ("least_squares", 2.0),  # ((3 - 1)^2 + (-1 - 1)^2) / 2 / 2
    ],
)
def test_the_generator_loses_by_the_logit(name, expected):
    assert _generator(name, _logits(3, -1)) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["non_saturating", "minimax"])
def test_label_smoothing_makes_the_real_target_of_the_cross_entropy_less(name):
    # Real: D = 3/4 against 0.9 is -0.9 ln(3/4) - 0.1 ln(1/4); fake: D = 1/4 stays against 0.
    real = -0.9 * math.log(3 / 4) - 0.1 * math.log(1 / 4)
    assert _discriminator(name, _logits(_LN3), _logits(-_LN3), smoothing=0.1) == pytest.approx(
        real - math.log(3 / 4)
    )


def test_label_smoothing_makes_the_real_target_of_least_squares_less():
    # ((2 - 0.8)^2 + (0.5 - 0)^2) / 2
    assert _discriminator(
        "least_squares", _logits(2), _logits(0.5), smoothing=0.2
    ) == pytest.approx((1.44 + 0.25) / 2)


@pytest.mark.parametrize("name", ["non_saturating", "minimax", "least_squares"])
def test_label_smoothing_leaves_the_generator_alone(name):
    smoothed = make_loss(name, 0.3)
    logits = _logits(0.5, -2)
    assert smoothed.generator(logits).numpy() == _generator(name, logits)


@pytest.mark.parametrize("dtype", [tf.float32, tf.float16])
@pytest.mark.parametrize(
    ("name", "discriminator", "generator"),
    [
        # softplus(1e4) = 1e4 and softplus(-1e4) = 0, so each mean is 5000.
        ("non_saturating", 1e4, 5e3),
        ("minimax", 1e4, -5e3),
        ("hinge", 10001.0, 0.0),  # (0 + 10001) / 2 twice
        ("wasserstein", 0.0, 0.0),
        # Real, and G: (9999^2 + 10001^2) / 2 / 2 = (1e8 + 1) / 2; fake: 1e8 / 2.
        ("least_squares", 1e8, 5e7),
    ],
)
def test_large_logits_do_not_overflow(name, discriminator, generator, dtype):
    far = _logits(1e4, -1e4, dtype=dtype)
    assert _discriminator(name, far, far) == pytest.approx(discriminator, rel=1e-6)
    assert _generator(name, far) == pytest.approx(generator, rel=1e-6)


@pytest.mark.parametrize("name", _NAMES)
@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_half_precision_logits_are_averaged_in_float32(name, dtype):
    # 1.5 and 2 are exact in both, but not their softplus, nor most of their means.
    values = [1.5] * 300 + [2.0] * 5
    half, full = _logits(*values, dtype=dtype), _logits(*values)
    for got, expected in [
        (_discriminator(name, half, half), _discriminator(name, full, full)),
        (_generator(name, half), _generator(name, full)),
    ]:
        assert got.dtype == np.float32
        assert got == expected


@pytest.mark.parametrize(
    ("name", "slope"),
    [
        ("non_saturating", -1.0),
        ("minimax", 0.0),
        ("hinge", -1.0),
        ("wasserstein", -1.0),
        ("least_squares", -51.0),
    ],
)
def test_all_generators_but_minimax_learn_where_d_is_sure(name, slope):
    logits = _logits(-50.0)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = make_loss(name).generator(logits)
    assert tape.gradient(loss, logits).numpy().item() == pytest.approx(slope, abs=1e-6)


def test_guessed_classes_lose_the_softmax_cross_entropy():
    # softmax(0, ln 3) = (1/4, 3/4); softmax(0, 0) = (1/2, 1/2).
    class_logits = tf.constant([[0, _LN3], [0, _LN3], [0, 0]], tf.float32)
    labels = tf.constant([0, 1, 1], tf.int64)
    expected = (_LN4 - math.log(3 / 4) + _LN2) / 3
    assert auxiliary_classes(class_logits, labels).numpy() == pytest.approx(expected)


def test_large_half_precision_class_logits_do_not_overflow():
    class_logits = tf.constant([[6e4, -6e4]], tf.float16)
    loss = auxiliary_classes(class_logits, tf.constant([1])).numpy()
    # Both are multiples of 32 in float16: 60000 is exact.
    assert loss == pytest.approx(1.2e5)


def test_guessed_values_lose_the_absolute_error():
    # |1 - 2| and |5 - 2|; paired with every value by broadcasting it would be other.
    guess, value = tf.constant([[1.0], [5.0], [0.0]]), tf.constant([2.0, 2.0, -7.0])
    assert auxiliary_regression(guess, value).numpy() == pytest.approx((1 + 3 + 7) / 3)


def test_guesses_of_several_values_count_alike():
    guess, value = tf.constant([[1.0, 2], [3, 4], [5, 6]]), tf.constant([[1.0, 0], [3, 1], [4, 6]])
    assert auxiliary_regression(guess, value).numpy() == pytest.approx((2 + 3 + 1) / 6)


def test_a_half_precision_guess_is_compared_in_float32():
    # 0.1 is not a float16: the value must not be rounded to the guess's precision.
    loss = auxiliary_regression(tf.constant([[0.0]], tf.float16), tf.constant([0.1])).numpy()
    assert loss == np.float32(0.1)
