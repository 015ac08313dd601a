"""Turns of D and G, one after the other, against the same worked out by hand.

The reference plays with plain Keras calls, in loops over steps, turns, shards and parts, and moves
the weights by NumPy. What it shares with the update are the networks and the noise.
"""

from __future__ import annotations

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
from hpcgan.exchange import alone
from hpcgan.gan import noise
from hpcgan.gan.state import State
from hpcgan.gan.update import Update

_SHAPE, _LATENT = (3, 2, 1), 4
_STEPS, _SHARDS, _ROUNDS, _PARTS, _PART = 2, 2, 2, 2, 4
_BATCH = _PARTS * _PART
_TURNS = (_ROUNDS + 1) * _PARTS
_RATES = {"generator": 0.5, "discriminator": 0.25}


def _config(generator="generator", normalisation="batch", **train):
    sgd = {name: OptimizerConfig("sgd", rate) for name, rate in _RATES.items()}
    return Config(
        data=DataConfig(files=["x"], shards=_SHARDS),
        model=ModelConfig(
            latent_dim=_LATENT,
            normalisation=normalisation,
            generator=f"small_networks:{generator}",
            discriminator="small_networks:discriminator",
        ),
        optimizer=OptimizersConfig(**sgd),
        train=TrainConfig(
            **{
                "batch_size": _BATCH,
                "accumulate": _PARTS,
                "update": "alternating",
                "discriminator_steps": _ROUNDS,
                **train,
            }
        ),
    )


def _samples(steps=_STEPS):
    """Return (steps, shards, samples of a step, *shape), each turn's unlike those of others."""
    rng = np.random.default_rng(1)
    samples = rng.uniform(-1, 1, (steps, _SHARDS, _ROUNDS * _BATCH, *_SHAPE))
    levels = np.linspace(-0.8, 0.8, _ROUNDS).repeat(_BATCH)[:, None, None, None]
    return (0.2 * samples + levels).astype(np.float32)


def _update(config, exchange=alone):
    state = State(config, _SHAPE)
    return state, Update(config, state, "float32", range(_SHARDS), exchange)


def _called(model, inputs):
    """Return the outputs in training and the new statistics; the model keeps its old ones."""
    before = [np.array(v) for v in model.non_trainable_variables]
    outputs = model(inputs, training=True)
    after = [np.array(v) for v in model.non_trainable_variables]
    for variable, value in zip(model.non_trainable_variables, before, strict=True):
        variable.assign(value)
    return outputs, after


def _latents(step, turn, part, shard):
    stream = noise.streams(0, _TURNS, range(_SHARDS))[shard]
    key = noise.turn_keys(stream, tf.constant(step, tf.int64), turn * _PARTS + part, _TURNS).latents
    return noise.latents(key, _PART, _LATENT)


def _generated(model, step, turn, part, together):
    """Return a list of the shards' samples, and one of their new statistics."""
    latents = [_latents(step, turn, part, shard) for shard in range(_SHARDS)]
    if together:
        samples, statistics = _called(model, tf.concat(latents, 0))
        return tf.split(samples, _SHARDS), [statistics] * _SHARDS
    played = [_called(model, each) for each in latents]
    return [samples for samples, _ in played], [statistics for _, statistics in played]


def _move(model, rate, gradients, statistics):
    """Take a step down the mean gradient, and the mean statistics."""
    for variable, *each in zip(model.trainable_variables, *gradients, strict=True):
        variable.assign(np.array(variable) - rate * np.mean(each, axis=0))
    for variable, *each in zip(model.non_trainable_variables, *statistics, strict=True):
        variable.assign(np.mean(each, axis=0))


def _teach_d(state, samples, step, turn, together):
    """Take a turn of D; return its loss."""
    losses, gradients, statistics = [], [], []
    for part in range(_PARTS):
        fakes, _ = _generated(state.generator, step, turn, part, together)
        first = turn * _BATCH + part * _PART
        for shard in range(_SHARDS):
            real = samples[step, shard, first : first + _PART]
            with tf.GradientTape() as tape:
                real_logits, new = _called(state.discriminator, real)
                fake_logits, _ = _called(state.discriminator, fakes[shard])
                loss = tf.reduce_mean(-tf.math.log_sigmoid(real_logits))
                loss += tf.reduce_mean(-tf.math.log_sigmoid(-fake_logits))
            losses.append(loss)
            gradients.append(tape.gradient(loss, _weights(state.discriminator)))
            statistics.append(new)
    _move(state.discriminator, _RATES["discriminator"], gradients, statistics)
    return np.mean(losses)


def _teach_g(state, step, turn, together):
    """Take a turn of G; return its loss."""
    losses, gradients, statistics = [], [], []
    for part in range(_PARTS):
        with tf.GradientTape(persistent=True) as tape:
            fakes, new = _generated(state.generator, step, turn, part, together)
            of_shards = [
                tf.reduce_mean(-tf.math.log_sigmoid(_called(state.discriminator, fake)[0]))
                for fake in fakes
            ]
        losses += of_shards
        gradients += [tape.gradient(loss, _weights(state.generator)) for loss in of_shards]
        statistics += new
    _move(state.generator, _RATES["generator"], gradients, statistics)
    return np.mean(losses)


def _weights(model):
    return [variable.value for variable in model.trainable_variables]


def _values(state):
    return [np.array(v) for model in (state.discriminator, state.generator) for v in model.weights]


@pytest.mark.parametrize(
    ("generator", "normalisation"),
    [("generator", "batch"), ("nested", "synchronised")],
)
def test_alternating_updates_are_those_worked_out_turn_by_turn(generator, normalisation):
    together, samples = normalisation == "synchronised", _samples()
    reference = State(_config(), _SHAPE)  # in which the whole group's batch is normalised by Keras
    start, expected = _values(reference), []
    for step in range(_STEPS):
        for turn in range(_ROUNDS):
            d_loss = _teach_d(reference, samples, step, turn, together)
        expected.append([d_loss, _teach_g(reference, step, _ROUNDS, together)])
    state, update = _update(_config(generator, normalisation))
    report = update.run(tf.constant(samples), tf.constant(0, tf.int64))
    np.testing.assert_allclose(report.losses, expected, rtol=1e-5)
    for before, ours, theirs in zip(start, _values(state), _values(reference), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
        assert not np.allclose(theirs, before, rtol=1e-3)


def test_a_turn_of_d_that_is_left_out_is_told_and_the_others_are_taken():
    samples = _samples(steps=3)
    samples[1, 1, 2] = np.nan  # in the first of D's turns of the second step
    state, update = _update(_config(accumulate=1))
    report = update.run(tf.constant(samples), tf.constant(0, tf.int64))
    assert report.skipped.numpy().tolist() == [0, 1, 0]
    assert int(state.discriminator_optimizer.iterations) == 3 * _ROUNDS - 1
    assert int(state.generator_optimizer.iterations) == 3
    assert all(np.isfinite(value).all() for value in _values(state))


def test_a_rank_that_stops_in_ds_first_turn_is_heard():
    calls = []

    def exchange(vector, scale=1.0):
        """Add what another rank would: all ones, its wish to stop among them, or nothing."""

        def add(own):
            calls.append(len(calls))
            return scale * (own + float(calls[-1] == _ROUNDS + 1))

        return tf.ensure_shape(tf.py_function(add, [vector], tf.float32), vector.shape)

    _, update = _update(_config(accumulate=1), exchange)
    report = update.run(tf.constant(_samples(steps=3)), tf.constant(0, tf.int64))
    assert (report.stop.numpy() > 0).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("train", "turns"),
    [({}, _ROUNDS + 1), ({"update": "simultaneous", "discriminator_steps": 1}, 1)],
)
def test_no_key_is_used_twice_in_a_run(monkeypatch, train, turns):
    seen, turn_keys = [], noise.turn_keys

    def noted(*place):
        keys = turn_keys(*place)
        tf.py_function(lambda *each: seen.extend(key.numpy().tobytes() for key in each), keys, [])
        return keys

    monkeypatch.setattr(noise, "turn_keys", noted)
    _, update = _update(_config(**train))
    samples = _samples(steps=3)[:, :, : _BATCH * max(1, turns - 1)]
    update.run(tf.constant(samples), tf.constant(0, tf.int64))
    assert len(seen) == 3 * turns * _PARTS * _SHARDS * len(noise.Keys.__annotations__)
    assert len(set(seen)) == len(seen)
