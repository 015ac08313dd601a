"""What a batch does to both networks: each random number is drawn for one purpose alone."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from hpcgan.config import Config, DataConfig, LossConfig, ModelConfig, TrainConfig
from hpcgan.gan import game, noise, penalties
from hpcgan.gan.game import Batch, Game

_SHAPE = (3, 8, 8, 1)


class _Network:
    """A player of one weight that notes the keys of its random layers."""

    takes_labels = False

    def __init__(self, used, is_generator):
        self._used = used
        self._is_generator = is_generator

    def values(self):
        return [tf.constant(2.0)]

    def play(self, weights, key, inputs, labels=None):
        self._used.append(key)
        if self._is_generator:
            return [weights[0] * tf.ones(_SHAPE)], []
        return [weights[0] * tf.reduce_sum(inputs, [1, 2, 3])[:, None]], []


def _note(monkeypatch, used, module, name, place):
    """Have a function note one of its arguments, which is a key."""
    function = getattr(module, name)

    def noting(*arguments):
        used.append(arguments[place])
        return function(*arguments)

    monkeypatch.setattr(module, name, noting)


@pytest.mark.parametrize(
    ("play", "purposes"), [("both", 9), ("teach_discriminator", 9), ("teach_generator", 4)]
)
def test_no_two_purposes_of_a_batch_share_a_key(monkeypatch, play, purposes):
    used = []
    _note(monkeypatch, used, noise, "latents", 0)
    _note(monkeypatch, used, penalties, "gradient_penalty", 3)
    _note(monkeypatch, used, game, "augment", 2)
    config = Config(
        data=DataConfig(files=["x"]),
        loss=LossConfig(gradient_penalty=1.0, r1=1.0),
        train=TrainConfig(augment=["color"]),
    )
    tested = Game(config, _Network(used, True), _Network(used, False), None)
    stream = noise.streams(0, 1, range(1))
    keys = noise.batch_keys(stream, tf.constant(3, tf.int64), 0, 1)
    getattr(tested, play)([Batch(keys, tf.zeros(_SHAPE), None)])
    assert len(used) == len({key.numpy().tobytes() for key in used}) == purposes


class _Guessing(_Network):
    """D, undecided, that guesses class 0 of real samples, which are 0, and 1 of generated ones."""

    def play(self, weights, key, inputs, labels=None):
        outputs, statistics = super().play(weights, key, inputs)
        is_real = tf.cast(inputs[:, 0, 0] == 0.0, tf.float32)
        classes = 20.0 * tf.concat([is_real, 1.0 - is_real], 1)
        return [0.0 * outputs[0], classes], statistics


def test_d_learns_to_guess_from_real_samples_and_g_from_its_own():
    config = Config(
        data=DataConfig(files=["x"]),
        model=ModelConfig(condition="auxiliary", classes=2),
        loss=LossConfig("wasserstein", gradient_penalty=0.0, auxiliary=3.0),
    )
    tested = Game(config, _Network([], True), _Guessing([], False), None)
    keys = noise.batch_keys(noise.streams(0, 1, range(1)), tf.constant(0, tf.int64), 0, 1)
    batch = Batch(keys, tf.zeros(_SHAPE), tf.constant([0, 0, 1]))
    # Two of three real samples are guessed, and one of three generated ones; others cost 20.
    d_loss, g_loss = tested.both([batch]).losses
    np.testing.assert_allclose([d_loss, g_loss], [3 * 20 / 3, 3 * 40 / 3], rtol=1e-5)
