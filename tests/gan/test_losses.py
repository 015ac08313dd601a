"""The value functions, against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from hpcgan.gan.losses import LOSSES

_LN2, _LN3, _LN4 = math.log(2), math.log(3), math.log(4)


def _logits(*values):
    return tf.constant([[v] for v in values], tf.float32)


@pytest.mark.parametrize("name", ["non_saturating", "minimax"])
def test_an_undecided_discriminator_loses_two_ln_2(name):
    assert LOSSES[name].discriminator(_logits(0, 0), _logits(0, 0)).numpy() == pytest.approx(
        2 * _LN2
    )


@pytest.mark.parametrize("name", ["non_saturating", "minimax"])
def test_the_discriminator_loses_the_cross_entropy(name):
    # sigmoid(ln 3) = 3/4, sigmoid(-ln 3) = 1/4
    real, fake = _logits(_LN3, 0), _logits(-_LN3, _LN3)
    expected = (-math.log(3 / 4) + _LN2) / 2 + (-math.log(3 / 4) + _LN4) / 2
    assert LOSSES[name].discriminator(real, fake).numpy() == pytest.approx(expected)


def test_the_non_saturating_generator_loses_minus_log_d():
    loss = LOSSES["non_saturating"].generator(_logits(_LN3, -_LN3))
    assert loss.numpy() == pytest.approx((-math.log(3 / 4) + _LN4) / 2)


def test_the_minimax_generator_loses_log_of_one_minus_d():
    loss = LOSSES["minimax"].generator(_logits(_LN3, -_LN3))
    assert loss.numpy() == pytest.approx((-_LN4 + math.log(3 / 4)) / 2)


@pytest.mark.parametrize("name", ["non_saturating", "minimax"])
def test_large_logits_stay_finite(name):
    far = _logits(1e4, -1e4)
    assert np.isfinite(LOSSES[name].discriminator(far, far).numpy())
    assert np.isfinite(LOSSES[name].generator(far).numpy())


@pytest.mark.parametrize(("name", "slope"), [("non_saturating", -1.0), ("minimax", 0.0)])
def test_only_the_non_saturating_generator_learns_where_d_is_sure(name, slope):
    logits = _logits(-50.0)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = LOSSES[name].generator(logits)
    assert tape.gradient(loss, logits).numpy().item() == pytest.approx(slope, abs=1e-6)
