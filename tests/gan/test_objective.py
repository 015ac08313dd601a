"""Losses and gradients of a batch: each random number is drawn for one purpose alone."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from hpcgan import varied
from hpcgan.config import Config, DataConfig, LossConfig, ModelConfig, TrainConfig
from hpcgan.gan import noise, objective, penalties
from hpcgan.gan.network import Version
from hpcgan.gan.objective import Batch, Objective

_SHAPE = (3, 8, 8, 1)


class _Network:
    """A network of one weight that notes the keys of its random layers."""

    takes_labels = False

    def __init__(self, used, is_generator):
        self._used = used
        self._is_generator = is_generator

    def version(self):
        return Version([tf.constant(2.0)], [])

    def forward(self, version, keys, inputs, labels=None):
        self._used.append(keys)
        if self._is_generator:
            return [version.weights[0] * tf.ones((inputs.shape[0], *_SHAPE[1:]))], []
        return [version.weights[0] * tf.reduce_sum(inputs, [1, 2, 3])[:, None]], []


def _found(tested, gradients, batch):
    """Return what an objective finds of the networks, D first: of both or of one."""
    if gradients == "joint":
        return tested.joint(batch)
    if gradients == "discriminator":
        return (tested.discriminator(batch, tested.fake(batch)),)
    return tested.generator(batch)[:1]


def _note(monkeypatch, used, module, name, place):
    """Have a function note one of its arguments, which are keys."""
    function = getattr(module, name)

    def noting(*arguments):
        used.append(arguments[place])
        return function(*arguments)

    monkeypatch.setattr(module, name, noting)


@pytest.mark.parametrize(
    ("gradients", "purposes"), [("joint", 9), ("discriminator", 9), ("generator", 4)]
)
def test_no_two_purposes_of_a_batch_share_a_key(monkeypatch, gradients, purposes):
    used = []
    _note(monkeypatch, used, noise, "latents", 0)
    _note(monkeypatch, used, penalties, "gradient_penalty", 3)
    _note(monkeypatch, used, objective, "augment", 2)
    config = Config(
        data=DataConfig(files=["x"]),
        loss=LossConfig(gradient_penalty=1.0, r1=1.0),
        train=TrainConfig(augment=["color"]),
    )
    tested = Objective(
        config, _Network(used, True), _Network(used, False), None, varied.in_use(config)
    )
    _found(tested, gradients, Batch(_keys(shards=3), 1, tf.zeros(_SHAPE), None))
    assert len(used) == purposes
    assert len({key.numpy().tobytes() for keys in used for key in keys}) == 3 * purposes


def _keys(shards):
    return noise.batch_keys(noise.streams(0, 1, range(shards)), tf.constant(3, tf.int64), 0, 1)


class _Guessing(_Network):
    """D, undecided, that guesses class 0 of real samples, which are 0, and 1 of generated ones."""

    def forward(self, version, keys, inputs, labels=None):
        outputs, statistics = super().forward(version, keys, inputs)
        is_real = tf.cast(inputs[:, 0, 0] == 0.0, tf.float32)
        classes = 20.0 * tf.concat([is_real, 1.0 - is_real], 1)
        return [0.0 * outputs[0], classes], statistics


def test_d_learns_to_guess_from_real_samples_and_g_from_its_own():
    config = Config(
        data=DataConfig(files=["x"]),
        model=ModelConfig(condition="auxiliary", classes=2),
        loss=LossConfig("wasserstein", gradient_penalty=0.0, auxiliary=3.0),
    )
    tested = Objective(
        config, _Network([], True), _Guessing([], False), None, varied.in_use(config)
    )
    batch = Batch(_keys(shards=1), 3, tf.zeros(_SHAPE), tf.constant([0, 0, 1]))
    # Two of three real samples are guessed, and one of three generated ones; others cost 20.
    d, g = tested.joint(batch)
    np.testing.assert_allclose([d.loss, g.loss], [3 * 20 / 3, 3 * 40 / 3], rtol=1e-5)


def test_a_batch_of_several_shards_knows_their_number_and_size():
    batch = Batch(_keys(shards=3), 4, tf.zeros((12, 8, 8, 1)), None)
    assert (batch.shards, batch.per_shard) == (3, 4)


@pytest.mark.parametrize("gradients", ["joint", "discriminator", "generator"])
@pytest.mark.parametrize("scale", [None, 8.0])
def test_a_batch_of_several_shards_gives_the_sum_of_what_each_gives(gradients, scale):
    """Of means over each shard's samples; the scale is of gradients alone."""
    config = Config(
        data=DataConfig(files=["x"]),
        model=ModelConfig(condition="auxiliary", classes=2),
        loss=LossConfig("least_squares", gradient_penalty=2.0, r1=3.0, auxiliary=0.5),
    )
    networks = (_Counted([], True), _Guessed([], False))
    scale = None if scale is None else tf.Variable(scale)
    tested = Objective(config, *networks, scale, varied.in_use(config))
    keys, real = _keys(shards=3), tf.reshape(tf.linspace(-1.0, 1.0, 12 * 64), (12, 8, 8, 1))
    labels = tf.constant([0, 1, 1, 0] * 3)
    whole = _found(tested, gradients, Batch(keys, 4, real, labels))
    parts = [
        _found(
            tested,
            gradients,
            Batch(
                noise.Keys(*(each[shard : shard + 1] for each in keys)),
                4,
                real[4 * shard : 4 * shard + 4],
                labels[4 * shard : 4 * shard + 4],
            ),
        )
        for shard in range(3)
    ]
    for own, of_shards in zip(whole, zip(*parts, strict=True), strict=True):
        for kind in ("weights", "statistics"):
            every = (getattr(each, kind) for each in of_shards)
            sums = [sum(each) for each in zip(*every, strict=True)]
            assert sums
            np.testing.assert_allclose(getattr(own, kind), sums, rtol=1e-5, err_msg=kind)
        np.testing.assert_allclose(own.loss, sum(each.loss for each in of_shards), rtol=1e-5)
    assert len({float(part[-1].loss) for part in parts}) == 3 or gradients == "generator"


class _Counted(_Network):
    """A generator whose statistic is the number of its batch's shards, as a mean: always 1."""

    def forward(self, version, keys, inputs, labels=None):
        samples = version.weights[0] * tf.tanh(tf.reduce_sum(inputs, 1))[:, None, None, None]
        return [samples * tf.ones(_SHAPE[1:])], [tf.constant(1.0)]


class _Guessed(_Network):
    """A discriminator whose outputs are not linear in the samples."""

    def forward(self, version, keys, inputs, labels=None):
        sums = tf.reduce_sum(tf.tanh(version.weights[0] * inputs), [1, 2, 3])[:, None]
        return [sums, tf.concat([sums, -sums], 1)], [tf.constant(1.0)]
