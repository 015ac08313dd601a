"""Alternating training steps, against the same worked out by hand.

The reference calls the networks by plain Keras, in loops over steps, updates, shards and parts, and
moves the weights by NumPy. What it shares with the step are the networks and the noise.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from hpcgan.all_reduce import identity
from hpcgan.config import (
    Config,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    OptimizersConfig,
    TrainConfig,
)
from hpcgan.gan import noise
from hpcgan.gan.state import State
from hpcgan.parallel.synchronous import Synchronous

pytestmark = pytest.mark.usefixtures("unmeasured")

_SHAPE, _LATENT, _CLASSES = (3, 2, 1), 4, 3
_STEPS, _SHARDS, _D_UPDATES, _PARTS, _PART = 2, 2, 2, 2, 4
_BATCH = _PARTS * _PART
_BATCHES = (_D_UPDATES + 1) * _PARTS  # of a shard, in a step
_RATES = {"generator": 0.5, "discriminator": 0.25}
_CLIP = 0.3  # of D's gradients: less than their norm


def _config(generator="generator", normalisation="batch", **train):
    sgd = {name: OptimizerConfig("sgd", rate) for name, rate in _RATES.items()}
    sgd["discriminator"] = dataclasses.replace(sgd["discriminator"], clip_norm=_CLIP)
    return Config(
        data=DataConfig(files=["x"], labels="y", shards=_SHARDS),
        model=ModelConfig(
            latent_dim=_LATENT,
            condition="projection",
            classes=_CLASSES,
            normalisation=normalisation,
            generator=f"tests.gan.small_networks:{generator}",
            discriminator="tests.gan.small_networks:discriminator",
        ),
        optimizer=OptimizersConfig(**sgd),
        train=TrainConfig(
            **{
                "batch_size": _BATCH,
                "accumulate": _PARTS,
                "update": "alternating",
                "discriminator_steps": _D_UPDATES,
                **train,
            }
        ),
    )


def _samples(steps=_STEPS):
    """Return (steps, shards, samples of a step, *shape), each update's unlike those of others."""
    rng = np.random.default_rng(1)
    samples = rng.uniform(-1, 1, (steps, _SHARDS, _D_UPDATES * _BATCH, *_SHAPE))
    levels = np.linspace(-0.8, 0.8, _D_UPDATES).repeat(_BATCH)[:, None, None, None]
    return (0.2 * samples + levels).astype(np.float32)


def _labels(steps=_STEPS):
    """Return a label for each sample."""
    shape = (steps, _SHARDS, _D_UPDATES * _BATCH)
    return np.random.default_rng(2).integers(0, _CLASSES, shape).astype(np.int32)


def _made(config, all_reduce=identity):
    """Return networks and what trains them."""
    state = State(config, _SHAPE)
    return state, Synchronous(config, state, "float32", range(_SHARDS), all_reduce)


def _run(strategy, samples, first=0):
    """Make the steps of the samples with their labels."""
    steps, _, count = samples.shape[:3]
    labels = _labels(steps)[:, :, :count]
    return strategy.run(*map(tf.constant, (samples, np.int64(first), labels)))


def _called(model, inputs):
    """Return the outputs in training and the new statistics; the model keeps its old ones."""
    before = [np.array(v) for v in model.non_trainable_variables]
    outputs = model(inputs, training=True)
    after = [np.array(v) for v in model.non_trainable_variables]
    for variable, value in zip(model.non_trainable_variables, before, strict=True):
        variable.assign(value)
    return outputs, after


def _latents(step, update, part, shard):
    streams = noise.streams(0, _BATCHES, range(shard, shard + 1))
    place = (tf.constant(step, tf.int64), update * _PARTS + part, _BATCHES)
    return noise.latents(noise.batch_keys(streams, *place).latents, _PART, _LATENT)


def _generated(model, step, update, part, labels, together):
    """Return a list of the shards' samples, and one of their new statistics."""
    latents = [_latents(step, update, part, shard) for shard in range(_SHARDS)]
    if together:
        samples, statistics = _called(model, [tf.concat(latents, 0), tf.concat(labels, 0)])
        return tf.split(samples, _SHARDS), [statistics] * _SHARDS
    called = [_called(model, list(each)) for each in zip(latents, labels, strict=True)]
    return [samples for samples, _ in called], [statistics for _, statistics in called]


def _move(model, rate, gradients, statistics, most=None):
    """Take a step down the mean gradient, of a norm of ``most``, and the mean statistics."""
    means = [
        np.mean([np.array(each) for each in of_one], 0) for of_one in zip(*gradients, strict=True)
    ]
    norm = np.sqrt(sum(np.sum(mean**2) for mean in means))
    assert most is None or norm > most
    rate *= 1.0 if most is None else most / norm
    for variable, mean in zip(model.trainable_variables, means, strict=True):
        variable.assign(np.array(variable) - rate * mean)
    for variable, *each in zip(model.non_trainable_variables, *statistics, strict=True):
        variable.assign(np.mean(each, axis=0))


def _part_of(array, step, update, part):
    """Return a list of what each shard has in a part of an update's batch."""
    first = update * _BATCH + part * _PART
    return [tf.constant(each) for each in array[step, :, first : first + _PART]]


def _update_d(state, step, update, together):
    """Make an update of D; return its loss."""
    losses, gradients, statistics = [], [], []
    for part in range(_PARTS):
        labels = _part_of(_labels(), step, update, part)
        reals = _part_of(_samples(), step, update, part)
        fakes, _ = _generated(state.generator, step, update, part, labels, together)
        for real, fake, label in zip(reals, fakes, labels, strict=True):
            with tf.GradientTape() as tape:
                real_logits, new = _called(state.discriminators[0], [real, label])
                fake_logits, _ = _called(state.discriminators[0], [fake, label])
                loss = tf.reduce_mean(-tf.math.log_sigmoid(real_logits))
                loss += tf.reduce_mean(-tf.math.log_sigmoid(-fake_logits))
            losses.append(loss)
            gradients.append(_gradient(tape, loss, state.discriminators[0]))
            statistics.append(new)
    _move(state.discriminators[0], _RATES["discriminator"], gradients, statistics, _CLIP)
    return np.mean(losses)


def _update_g(state, step, together):
    """Make the update of G, with the labels of D's last one; return its loss."""
    losses, gradients, statistics = [], [], []
    for part in range(_PARTS):
        labels = _part_of(_labels(), step, _D_UPDATES - 1, part)
        with tf.GradientTape(persistent=True) as tape:
            fakes, new = _generated(state.generator, step, _D_UPDATES, part, labels, together)
            judged = [
                _called(state.discriminators[0], list(each))[0]
                for each in zip(fakes, labels, strict=True)
            ]
            of_shards = [tf.reduce_mean(-tf.math.log_sigmoid(logits)) for logits in judged]
        losses += of_shards
        gradients += [_gradient(tape, loss, state.generator) for loss in of_shards]
        statistics += new
    _move(state.generator, _RATES["generator"], gradients, statistics)
    return np.mean(losses)


def _gradient(tape, loss, model):
    """Return the gradient by each weight of a model."""
    given = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    return [tf.convert_to_tensor(each) for each in given]


def _values(state):
    return [
        np.array(v) for model in (state.discriminators[0], state.generator) for v in model.weights
    ]


@pytest.mark.parametrize(
    ("generator", "normalisation"),
    [("wrapped", "batch"), ("nested", "synchronised")],
)
def test_alternating_steps_are_those_worked_out_update_by_update(generator, normalisation):
    together = normalisation == "synchronised"
    reference = State(_config(), _SHAPE)  # in which Keras normalises the batch of all shards
    start, expected = _values(reference), []
    for step in range(_STEPS):
        for update in range(_D_UPDATES):
            d_loss = _update_d(reference, step, update, together)
        expected.append([d_loss, _update_g(reference, step, together)])
    state, strategy = _made(_config(generator, normalisation))
    report = _run(strategy, _samples())
    np.testing.assert_allclose(report.losses, expected, rtol=1e-5)
    for before, ours, theirs in zip(start, _values(state), _values(reference), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
        assert not np.allclose(theirs, before, rtol=1e-3)


def test_an_update_of_d_that_is_left_out_is_reported_and_the_others_are_made():
    samples = _samples(steps=3)
    samples[1, 1, 2] = np.nan  # in the first of D's updates of the second step
    state, strategy = _made(_config(accumulate=1))
    report = _run(strategy, samples)
    assert report.skipped.numpy().tolist() == [0, 1, 0]
    assert int(state.discriminator_optimizers[0].iterations) == 3 * _D_UPDATES - 1
    assert int(state.generator_optimizer.iterations) == 3
    assert all(np.isfinite(value).all() for value in _values(state))


def test_a_rank_that_stops_in_ds_first_update_is_heard():
    calls = []

    def all_reduce(vector, scale=1.0):
        """Add what another rank would: all ones, its wish to stop among them, or nothing."""

        def add(own):
            calls.append(len(calls))
            return scale * (own + float(calls[-1] == _D_UPDATES + 1))

        return tf.ensure_shape(tf.py_function(add, [vector], tf.float32), vector.shape)

    _, strategy = _made(_config(accumulate=1), all_reduce)
    report = _run(strategy, _samples(steps=3))
    assert (report.stop.numpy() > 0).tolist() == [False, True, False]


def test_a_run_that_went_back_has_the_noise_of_later_steps_and_half_the_rates():
    config = _config(update="simultaneous", discriminator_steps=1)
    samples = _samples(steps=1)[:, :, :_BATCH]
    later, strategy = _made(config)
    before = _values(later)
    _run(strategy, samples, first=3)
    state, strategy = _made(config)
    state.discarded, state.rollbacks = 2, 1
    strategy.refresh(config)
    _run(strategy, samples, first=1)
    names = [v.path for model in (state.discriminators[0], state.generator) for v in model.weights]
    for name, start, ours, theirs in zip(
        names, before, _values(state), _values(later), strict=True
    ):
        part = 1.0 if "moving" in name else 0.5
        np.testing.assert_allclose(ours - start, part * (theirs - start), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("train", "updates"),
    [({}, _D_UPDATES + 1), ({"update": "simultaneous", "discriminator_steps": 1}, 1)],
)
def test_no_key_is_used_twice_in_a_run(monkeypatch, train, updates):
    seen, batch_keys = [], noise.batch_keys

    def noted(*place):
        keys = batch_keys(*place)
        note = lambda *each: seen.extend(key.tobytes() for keys in each for key in keys.numpy())  # noqa: E731
        tf.py_function(note, keys, [])
        return keys

    monkeypatch.setattr(noise, "batch_keys", noted)
    _, strategy = _made(_config(**train))
    samples = _samples(steps=3)[:, :, : _BATCH * max(1, updates - 1)]
    _run(strategy, samples)
    assert len(seen) == 3 * updates * _PARTS * _SHARDS * len(noise.Keys._fields)
    assert len(set(seen)) == len(seen)
