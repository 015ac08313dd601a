"""A training step of one rank, against the same worked out with plain Keras calls and NumPy."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
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
from hpcgan.gan import noise, penalties
from hpcgan.gan.losses import LOSSES
from hpcgan.gan.state import State
from hpcgan.parallel.synchronous import Synchronous

pytestmark = pytest.mark.usefixtures("unmeasured")

_BATCH, _SHAPE = 6, (8, 8, 1)


def _config(model="mlp", shards=1, **train):
    return Config(
        data=DataConfig(files=["x"], shards=shards),
        model=ModelConfig(name=model, width=4, latent_dim=3),
        optimizer=OptimizersConfig(discriminator=OptimizerConfig(learning_rate=1e-3)),
        train=TrainConfig(batch_size=_BATCH, **train),
    )


def _samples(steps=1, shards=1, rounds=1, dtype=np.uint8):
    rng = np.random.default_rng(5)
    shape = (steps, shards, _BATCH * rounds, *_SHAPE)
    if dtype == np.uint8:
        return rng.integers(0, 256, shape, np.uint8)
    return rng.uniform(-1, 1, shape).astype(dtype)


# By what decides them, steps that are compiled, each with its state and that at the start.
_COMPILED = {}


def _run(config, samples, hosted=None, first=0):
    """Return losses and variables after steps from the initial state."""
    hosted = hosted or range(samples.shape[1])
    key = (repr(config), samples.dtype.name, hosted)
    if key not in _COMPILED:
        state = State(config, _SHAPE)
        _COMPILED[key] = (state, _made(config, state, samples, hosted), state.arrays())
    state, strategy, start = _COMPILED[key]
    state.load(start, "the start")
    return _losses(strategy, samples, first), state.arrays()


def _made(config, state, samples, hosted=range(1)):
    return Synchronous(config, state, samples.dtype.name, hosted, identity)


def _losses(strategy, samples, first=0):
    return strategy.run(tf.constant(samples), tf.constant(first, tf.int64)).losses.numpy()


def _adam_first_step(before, gradient, config):
    """Kingma and Ba, 2015, algorithm 1 in the order of their section 2's end, for t = 1."""
    epsilon = 1e-7 / np.sqrt(1 - config.beta_2)
    return before - config.learning_rate * gradient / (np.abs(gradient) + epsilon)


def test_a_simultaneous_update_is_adam_on_both_gradients_of_one_forward_pass():
    config, samples = _config(), _samples()
    reference = State(config, _SHAPE)
    keys = noise.batch_keys(noise.streams(0, 1, range(1)), tf.constant(0, tf.int64), 0, 1)
    latents = noise.latents(keys.latents, _BATCH, 3)
    real = samples[0, 0].astype(np.float32) / 127.5 - 1
    g, d = reference.generator, reference.discriminators[0]
    with tf.GradientTape(persistent=True) as tape:
        fake_logits = d(g(latents))
        d_loss = LOSSES["non_saturating"].discriminator(d(real), fake_logits)
        g_loss = LOSSES["non_saturating"].generator(fake_logits)
    expected = {}
    for name, model, loss, adam in (
        ("generator", g, g_loss, config.optimizer.generator),
        ("discriminator", d, d_loss, config.optimizer.discriminator),
    ):
        variables = model.trainable_variables
        gradients = tape.gradient(loss, [v.value for v in variables])
        for variable, gradient in zip(variables, gradients, strict=True):
            stepped = _adam_first_step(np.array(variable), gradient.numpy(), adam)
            expected[name, variable.path.split("/", 1)[1]] = stepped
    losses, arrays = _run(config, samples)
    np.testing.assert_allclose(losses, [[d_loss, g_loss]], rtol=1e-5)
    for (group, name), value in expected.items():
        np.testing.assert_allclose(arrays[group][name], value, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("model", ["mlp", "dcgan"])
def test_several_steps_in_one_call_equal_one_step_per_call(model):
    config, samples = _config(model), _samples(steps=4)
    losses, together = _run(config, samples)
    state = State(config, _SHAPE)
    strategy = _made(config, state, samples)
    one_by_one = [_losses(strategy, samples[i : i + 1], i) for i in range(4)]
    np.testing.assert_allclose(np.concatenate(one_by_one), losses, rtol=1e-5)
    for group, named in state.arrays().items():
        for name, array in named.items():
            np.testing.assert_allclose(array, together[group][name], atol=1e-5, err_msg=name)


def test_moving_statistics_are_the_mean_over_shards():
    config = _config("dcgan", shards=2)
    samples = _samples(shards=2)
    _, both = _run(config, samples)
    # Statistics of G depend on its latents alone: each shard's own are those of its own run.
    single = _config("dcgan", shards=1)
    means = [_run(single, samples[:, s : s + 1], range(s, s + 1))[1]["generator"] for s in range(2)]
    for name in ("norm_1/moving_mean", "norm_1/moving_variance"):
        expected = (means[0][name] + means[1][name]) / 2
        np.testing.assert_allclose(both["generator"][name], expected, rtol=1e-5)
        assert not np.allclose(means[0][name], means[1][name])


def test_many_hosted_shards_are_looped_over_with_the_same_result(monkeypatch):
    """More batches than are unrolled: the mean of 6 shards is that of two halves of 3."""
    monkeypatch.setattr("hpcgan.gan.models.together.PASS_BYTES", 1)
    samples = _samples(shards=6)
    losses, _ = _run(_config(shards=6), samples)
    halves = [
        _run(_config(shards=3), samples[:, s], range(s.start, s.stop))[0]
        for s in (slice(0, 3), slice(3, 6))
    ]
    np.testing.assert_allclose(losses, np.mean(halves, axis=0), rtol=1e-5)


def test_dropout_differs_from_step_to_step():
    config, samples = _config("dcgan"), _samples()
    first, _ = _run(config, samples, first=0)
    again, _ = _run(config, samples, first=0)
    second, _ = _run(config, samples, first=1)
    np.testing.assert_array_equal(first, again)
    assert first[0, 0] != second[0, 0]


def test_uint8_is_scaled_and_float32_is_used_as_it_is():
    samples = _samples()
    scaled = samples.astype(np.float32) / np.float32(127.5) - 1
    from_bytes, _ = _run(_config(), samples)
    from_floats, _ = _run(_config(), scaled)
    np.testing.assert_allclose(from_bytes, from_floats, rtol=1e-6)


def test_the_average_of_g_follows_it() -> None:
    config, samples = _config("dcgan", ema=0.2), _samples(steps=3)
    start = State(config, _SHAPE).arrays()["generator_ema"]
    state = State(config, _SHAPE)
    strategy = _made(config, state, samples)
    expected = dict(start)
    for step in range(3):
        _losses(strategy, samples[step : step + 1], step)
        # 1 / 10, then 2 / 11, then the configured one.
        decay = min(0.2, (1 + step) / (10 + step))
        for name, value in state.arrays()["generator"].items():
            expected[name] = decay * expected[name] + (1 - decay) * value
    averaged = state.arrays()["generator_ema"]
    assert averaged.keys() == state.arrays()["generator"].keys()
    for name, value in expected.items():
        np.testing.assert_allclose(averaged[name], value, atol=1e-6, err_msg=name)
        assert "moving" in name or not np.array_equal(averaged[name], start[name])
    assert state.sampler is state.average


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_computes_about_the_same(precision: str) -> None:
    samples = _samples()
    exact, _ = _run(_config("dcgan"), samples)
    mixed, arrays = _run(_config("dcgan", precision=precision), samples)
    np.testing.assert_allclose(mixed, exact, rtol=0.05)
    assert {a.dtype.name for a in arrays["generator"].values()} == {"float32"}
    assert not np.array_equal(mixed, exact)


def test_d_learns_the_labels_of_real_samples() -> None:
    config = _config("dcgan")
    model = ModelConfig("dcgan", 3, 4, condition="auxiliary", classes=3)
    config = dataclasses.replace(config, model=model)
    samples = _samples(steps=30)
    # Class 0 is dark, 1 grey, 2 bright: D must learn them.
    labels = np.random.default_rng(1).integers(0, 3, samples.shape[:3]).astype(np.int32)
    samples = (samples // 8 + labels[..., None, None, None].astype(np.uint8) * 100).astype(np.uint8)
    state = State(config, _SHAPE)
    strategy = _made(config, state, samples)
    report = strategy.run(tf.constant(samples), tf.constant(0, tf.int64), tf.constant(labels))
    losses = report.losses.numpy()
    _, guesses = state.discriminators[0](samples[-1, 0].astype(np.float32) / 127.5 - 1)
    assert np.mean(np.argmax(guesses, 1) == labels[-1, 0]) > 0.8
    # One batch's loss differs from the next one's by as much as all of them fall.
    assert losses[-10:, 0].mean() < losses[:10, 0].mean() - 0.2


def test_penalties_are_part_of_ds_loss() -> None:
    samples = _samples()
    plain, _ = _run(_config(), samples)
    config = dataclasses.replace(_config(), loss=LossConfig(gradient_penalty=3.0, r1=2.0))
    penalised, _ = _run(config, samples)
    state = State(config, _SHAPE)
    keys = noise.batch_keys(noise.streams(0, 1, range(1)), tf.constant(0, tf.int64), 0, 1)
    real = tf.constant(samples[0, 0].astype(np.float32) / 127.5 - 1)
    fake = state.generator(noise.latents(keys.latents, _BATCH, 3))
    expected = 3.0 * penalties.gradient_penalty(state.discriminators[0], real, fake, keys.penalty)
    expected += 2.0 * penalties.r1(state.discriminators[0], real)
    np.testing.assert_allclose(penalised[0, 0] - plain[0, 0], expected, rtol=1e-4)
    np.testing.assert_allclose(penalised[0, 1], plain[0, 1], rtol=1e-6)


@pytest.mark.parametrize(
    ("generator", "hosted", "room", "description"),
    [
        (None, 1, 2**28, "1 shard per rank"),
        (None, 4, 2**28, "4 shards per rank, 4 at a time"),
        (None, 4, 1, "4 shards per rank, 1 at a time"),
        ("wrapped", 4, 2**28, "4 shards per rank, 1 at a time, since layer wrapped may mix their"),
    ],
)
def test_the_description_is_how_the_shards_are_computed(
    monkeypatch, generator, hosted, room, description
) -> None:
    monkeypatch.setattr("hpcgan.gan.models.together.PASS_BYTES", room)
    config, samples = _config(shards=4), _samples()
    if generator:
        own = f"tests.gan.small_networks:{generator}"
        model = ModelConfig("dcgan", 3, 4, condition="projection", classes=3, generator=own)
        config = dataclasses.replace(config, model=model)
    strategy = _made(config, State(config, _SHAPE), samples, range(hosted))
    end = " samples" if generator else ""
    assert strategy.description == description + end
