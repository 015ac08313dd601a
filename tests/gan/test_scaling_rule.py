"""Scaling rules: what they make of Adam's numbers, worked out by hand, and that it is used."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hpcgan.config import (
    Config,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    OptimizersConfig,
    TrainConfig,
)
from hpcgan.gan import schedule
from hpcgan.gan.scaling_rule import Adams, adams, decay_power, rate_factor, steps_factor, told
from hpcgan.gan.state import State
from tests.refusals import DATA, refusal

OWN = OptimizerConfig(learning_rate=0.01, beta_1=0.9, beta_2=0.99)


def test_more_images_make_fewer_steps_needed_up_to_the_noise_scale() -> None:
    assert steps_factor(0.0, 32, 64) == 1
    assert steps_factor(32.0, 32, 64) == pytest.approx(1.5 / 2)
    assert steps_factor(1e9, 32, 64) == pytest.approx(0.5)


def test_each_rule_has_its_factor_of_the_rate() -> None:
    rules = ("none", "sqrt", "linear", "sde")
    assert [rate_factor(rule, 4) for rule in rules] == [1.0, 2.0, 4.0, 2.0]
    assert adams(OWN, "linear", 4) == Adams(0.04, 0.9, 0.99, 1e-7)


def test_sde_changes_all_numbers_of_adam() -> None:
    rate, beta_1, beta_2, epsilon = adams(OWN, "sde", 4)
    assert rate == pytest.approx(0.02)
    assert beta_1 == pytest.approx(0.6)
    assert beta_2 == pytest.approx(0.96)
    assert epsilon == pytest.approx(5e-8)
    # With ten shards and more the first moment is the gradient itself.
    assert adams(OWN, "sde", 16).beta_1 == 0.0
    assert adams(OWN, "sde", 1) == pytest.approx((0.01, 0.9, 0.99, 1e-7))
    assert (decay_power("sde", 4), decay_power("linear", 4)) == (4, 1)


def made(scaling: str, shards: int, **train: object) -> Config:
    return Config(
        data=DataConfig(files=["x"], shards=shards),
        model=ModelConfig(latent_dim=2),
        optimizer=OptimizersConfig(OWN, OWN, scaling=scaling),  # type: ignore[arg-type]
        train=TrainConfig(**train),  # type: ignore[arg-type]
    )


def test_an_update_by_it_is_that_worked_out_by_hand() -> None:
    from hpcgan import varied
    from hpcgan.gan.network import Network

    config = made("sde", 4)
    state = State(config, (4, 4, 1))
    values, backoff = varied.in_use(config), tf.Variable(1.0)
    network = Network(
        state.discriminators[0],
        state.discriminator_optimizers[0],
        config,
        "discriminator",
        values,  # type: ignore[arg-type]
        backoff,
    )
    before = [np.array(each) for each in network.weights]
    m = [np.zeros_like(each) for each in before]
    v = [np.zeros_like(each) for each in before]
    expected = [each.astype(np.float64) for each in before]
    rng = np.random.default_rng(0)
    for step in range(2):
        gradients = [rng.normal(size=each.shape).astype(np.float32) for each in before]
        tensors = [tf.constant(each) for each in gradients]
        network.apply_gradients(tensors, [], tf.constant(step, tf.int64))
        # Kingma and Ba, 2015, before section 2.1.
        rate = 0.02 * math.sqrt(1 - 0.96 ** (step + 1)) / (1 - 0.6 ** (step + 1))
        for place, gradient in enumerate(gradients):
            m[place] = 0.6 * m[place] + 0.4 * gradient
            v[place] = 0.96 * v[place] + 0.04 * gradient**2
            expected[place] -= rate * m[place] / (np.sqrt(v[place]) + 5e-8)
    for ours, theirs in zip(network.weights, expected, strict=True):
        np.testing.assert_allclose(np.array(ours), theirs, rtol=1e-5, atol=1e-6)


def test_what_becomes_of_each_is_told_with_where_the_rule_ends() -> None:
    said = told(made("sde", 16, ema=0.99))
    assert said.startswith(
        "optimizer.scaling sde for 16 shards: generator: learning_rate 0.01 -> 0.04, beta_1 0.9 -> "
        "0 (the rule holds for beta_1 above 0.9375), beta_2 0.99 -> 0.84, epsilon 1e-07 -> 2.5e-08"
    )
    assert said.endswith(f"train.ema 0.99 -> {0.99**16:.6g}")
    assert told(made("linear", 16)) == ""


def test_rates_of_one_shard_for_more_are_told():
    assert told(made("none", 2)).startswith("optimizer.scaling none: 2 shards train with the rates")
    assert told(made("none", 1)) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data: {files: [a.h5], shards: 1000}", "generator's beta_2 0.999 becomes"),
        (
            "data: {files: [a.h5]}\noptimizer: {scaling: sde, discriminator: {name: sgd}}",
            "which is for adam, and discriminator's is sgd",
        ),
    ],
)
def test_where_it_cannot_be_used_it_is_refused(config_file: Path, text: str, said: str) -> None:
    assert said in refusal(config_file, f"{text}\n", "--optimizer.scaling=sde")


def test_averages_are_one_kind_or_the_other(config_file: Path) -> None:
    both = "train: {ema: 0.9, ema_images: 1000}\n"
    assert "train.ema is 0.9, and train.ema_images 1000.0" in refusal(config_file, DATA + both)
    alone = "train: {ema_ramp: 0.1}\n"
    assert "train.ema_ramp is 0.1, which is for train.ema_images" in refusal(
        config_file, DATA + alone
    )


def test_half_of_an_average_is_renewed_in_so_many_images_whatever_the_batch() -> None:
    steps = tf.constant(5, tf.int64)
    for per_step in (10, 40):
        decay = float(schedule.ema_decay_of_images(steps, per_step, 200.0, None))
        assert decay ** (200 / per_step) == pytest.approx(0.5, rel=1e-5)
    # 60 images are seen, of which a tenth is below 200.
    ramped = float(schedule.ema_decay_of_images(steps, 10, 200.0, 0.1))
    assert ramped == pytest.approx(0.5 ** (10 / 6), rel=1e-5)


def test_a_state_has_an_average_with_either() -> None:
    assert State(made("none", 1, ema_images=100.0), (4, 4, 1)).average is not None
    assert State(replace(made("none", 1)), (4, 4, 1)).average is None
