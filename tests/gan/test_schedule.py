"""Learning rates and the decay of the average, by hand at the edges."""

from __future__ import annotations

import math

import pytest
import tensorflow as tf

from hpcgan.gan import schedule


def _rate(step, scaling="none", warmup_steps=0, decay="none", steps=100, shards=1):
    step = tf.constant(step, tf.int64)
    rate = schedule.learning_rate(step, 0.5, shards, scaling, warmup_steps, decay, steps)
    assert rate.dtype == tf.float32
    assert rate.shape == ()
    return rate.numpy()


@pytest.mark.parametrize("step", [0, 99, 100, 10**12])
def test_the_rate_is_the_given_one_at_all_steps(step):
    assert _rate(step) == 0.5


@pytest.mark.parametrize(("scaling", "factor"), [("none", 1), ("sqrt", 3), ("linear", 9)])
def test_the_rate_is_scaled_with_the_shards(scaling, factor):
    assert _rate(7, scaling, shards=9) == pytest.approx(0.5 * factor)


@pytest.mark.parametrize(("step", "part"), [(0, 1 / 4), (1, 2 / 4), (2, 3 / 4), (3, 1), (4, 1)])
def test_the_warm_up_ends_with_the_whole_rate(step, part):
    assert _rate(step, warmup_steps=4) == pytest.approx(0.5 * part)


@pytest.mark.parametrize("decay", ["linear", "cosine"])
@pytest.mark.parametrize(("step", "part"), [(0, 1 / 20), (18, 19 / 20), (19, 1), (20, 1)])
def test_the_decay_begins_after_the_warm_up(decay, step, part):
    assert _rate(step, warmup_steps=20, decay=decay) == pytest.approx(0.5 * part)


@pytest.mark.parametrize(
    ("decay", "step", "part"),
    [
        # Of the 80 steps after the warm-up, 20, 40, 60 and 79 are past.
        ("linear", 40, 3 / 4),
        ("linear", 60, 1 / 2),
        ("linear", 80, 1 / 4),
        ("linear", 99, 1 / 80),
        ("cosine", 40, (1 + math.sqrt(1 / 2)) / 2),  # cos(pi / 4)
        ("cosine", 60, 1 / 2),
        ("cosine", 80, (1 - math.sqrt(1 / 2)) / 2),  # cos(3 pi / 4)
        ("cosine", 99, math.sin(math.pi / 160) ** 2),  # (1 + cos(pi - x)) / 2 = sin^2(x / 2)
    ],
)
def test_the_decay(decay, step, part):
    assert _rate(step, warmup_steps=20, decay=decay) == pytest.approx(0.5 * part, rel=1e-3)


@pytest.mark.parametrize("decay", ["linear", "cosine"])
@pytest.mark.parametrize("warmup_steps", [0, 20, 100])
def test_the_decay_ends_at_0_and_stays_there(decay, warmup_steps):
    assert _rate(99, warmup_steps=warmup_steps, decay=decay) > 0
    for step in (100, 101, 10**12):
        assert _rate(step, warmup_steps=warmup_steps, decay=decay) == 0


def test_scaling_warm_up_and_decay_multiply():
    # Scaled by 4 and half way through the decay from 20 to 100; then in the warm-up.
    assert _rate(60, "sqrt", 20, "linear", shards=16) == pytest.approx(0.5 * 4 / 2)
    assert _rate(4, "sqrt", 20, "linear", shards=16) == pytest.approx(0.5 * 4 * 5 / 20)


def test_one_compiled_function_serves_all_steps():
    @tf.function(input_signature=[tf.TensorSpec((), tf.int64)])
    def rate(step):
        return schedule.learning_rate(step, 0.5, 1, "none", 4, "linear", 12)

    got = [rate(tf.constant(step, tf.int64)).numpy() for step in (0, 4, 8, 12)]
    assert got == pytest.approx([0.125, 0.5, 0.25, 0.0])


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 1 / 10),
        (8, 1 / 2),  # 9 / 18
        (80, 0.9),  # 81 / 90
        (81, 0.9),  # 82 / 91 is more
        (10**12, 0.9),
    ],
)
def test_the_average_decays_faster_at_first(step, expected):
    decay = schedule.ema_decay(tf.constant(step, tf.int64), 0.9)
    assert decay.dtype == tf.float32
    assert decay.numpy() == pytest.approx(expected)
