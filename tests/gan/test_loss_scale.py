"""The scale of the losses: when it doubles, when it halves, and what it does to a step."""

from __future__ import annotations

import dataclasses

import numpy as np
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
from hpcgan.gan.loss_scale import LossScale
from hpcgan.gan.state import State
from hpcgan.parallel.synchronous import Synchronous

_SHAPE = (8, 8, 1)


def _adapted(finite, scale, good=0):
    """Return the scale and the number of good updates after one more."""
    tested = LossScale()
    tested.scale.assign(scale)
    tested.good.assign(good)
    tested.adapt(tf.constant(finite))
    return float(tested.scale), int(tested.good)


def test_it_begins_at_two_to_the_15th() -> None:
    assert float(LossScale().scale) == 2.0**15


def test_the_2000th_good_update_in_a_row_doubles_it() -> None:
    assert _adapted(True, 8.0, 1998) == (8.0, 1999)
    assert _adapted(True, 8.0, 1999) == (16.0, 0)


def test_an_overflow_halves_it_and_the_count_begins_again() -> None:
    assert _adapted(False, 8.0, 1999) == (4.0, 0)


def test_it_is_never_below_1() -> None:
    assert _adapted(False, 1.0) == (1.0, 0)


# --- in a training step ----------------------------------------------------------------------


def _config(precision="float32"):
    return Config(
        data=DataConfig(files=["x"], shards=1),
        model=ModelConfig(name="mlp", latent_dim=3),
        optimizer=OptimizersConfig(discriminator=OptimizerConfig(learning_rate=1e-3)),
        train=TrainConfig(batch_size=6, precision=precision),
    )


def _samples(steps=1):
    return np.random.default_rng(5).integers(0, 256, (steps, 1, 6, *_SHAPE), np.uint8)


def _made(config, state, all_reduce=identity):
    return Synchronous(config, state, "uint8", range(1), all_reduce)


def _losses(strategy, samples, first=0):
    return strategy.run(tf.constant(samples), tf.constant(first, tf.int64)).losses.numpy()


def test_an_update_whose_gradients_overflow_is_left_out_and_halves_the_scale() -> None:
    config, samples = _config("mixed_float16"), _samples(steps=2)
    state = State(config, _SHAPE)
    before = state.arrays()
    broken = [True, False]

    def all_reduce(vector, scale=1.0):
        total = tf.py_function(
            lambda v: scale * v * (np.float32(np.inf) if broken.pop(0) else 1.0),
            [vector],
            tf.float32,
        )
        return tf.ensure_shape(total, vector.shape)

    strategy = _made(config, state, all_reduce)
    _losses(strategy, samples[:1])
    after = state.arrays()
    for group in ("generator", "discriminator", "generator_optimizer"):
        for name, value in before[group].items():
            np.testing.assert_array_equal(after[group][name], value)
    assert after["loss_scale"] == {"scale": 2.0**14, "good": 0}
    _losses(strategy, samples[1:], 1)
    assert state.arrays()["loss_scale"] == {"scale": 2.0**14, "good": 1}
    assert not np.array_equal(
        state.arrays()["generator"]["pixels/kernel"], before["generator"]["pixels/kernel"]
    )


def test_scaled_losses_give_the_weights_of_losses_that_are_not_scaled() -> None:
    samples = _samples(steps=3)
    config = _config()
    plain, scaled = (State(config, _SHAPE) for _ in range(2))
    scaled.loss_scale = LossScale()
    losses = [_losses(_made(config, state), samples) for state in (plain, scaled)]
    np.testing.assert_allclose(*losses, rtol=1e-4)
    arrays = scaled.arrays()["generator"]
    for name, value in plain.arrays()["generator"].items():
        np.testing.assert_allclose(arrays[name], value, atol=2e-6, err_msg=name)


_PENALISED = LossConfig(gradient_penalty=10.0, r1=1e3)


def _trained_with_penalties(precision, factor):
    """Return losses, by how much D moved, and the variables after a step of gradient descent.

    D's gradients by its samples are ``factor`` times as large as at the start, by its last layer.
    """
    sgd = OptimizerConfig("sgd", 1.0)
    config = dataclasses.replace(
        _config(precision), loss=_PENALISED, optimizer=OptimizersConfig(sgd, sgd)
    )
    samples, state = _samples(), State(config, _SHAPE)
    kernel = state.discriminators[0].get_layer("logit").kernel
    kernel.assign(np.array(kernel) * factor)
    before = state.arrays()["discriminator"]
    losses = _losses(_made(config, state), samples)
    after = state.arrays()
    moved = [after["discriminator"][name] - before[name] for name in before]
    return losses, np.concatenate([each.ravel() for each in moved]), after


def test_penalties_of_small_gradients_are_float32s_in_half_precision() -> None:
    losses, moved, _ = _trained_with_penalties("mixed_float16", 1e-5)
    exact_losses, exact, _ = _trained_with_penalties("float32", 1e-5)
    np.testing.assert_allclose(losses, exact_losses, rtol=1e-3)
    # 0.0003 was seen, and 0.014 where gradients of 1e-6 had the digits that they have in float16.
    assert np.linalg.norm(moved - exact) < 0.003 * np.linalg.norm(exact)


def test_an_update_whose_penalties_overflow_is_left_out_and_halves_the_scale() -> None:
    losses, moved, after = _trained_with_penalties("mixed_float16", 1e4)
    assert not np.isfinite(losses[0, 0])
    assert after["loss_scale"] == {"scale": 2.0**14, "good": 0}
    assert not moved.any()
