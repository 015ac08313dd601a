"""Which layers may mix the samples of several shards, and how many shards go together."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from hpcgan.config import ModelConfig
from hpcgan.gan.models import build
from hpcgan.gan.models.layers import Dropout
from hpcgan.gan.models.normalisation import BatchNormalization, SynchronisedBatchNormalization
from hpcgan.gan.models.together import mixing_layer, shards_together
from tests.gan.models.networks import small


def _network(*inside):
    """Return a network of a dense layer and others after it; each maps (batch, 4) to the same."""
    inputs = keras.Input((4,))
    x = layers.Dense(4)(inputs)
    for each in inside:
        x = each(x)
    return keras.Model(inputs, x)


class _Subclassed(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.inner = layers.Dense(4)

    def call(self, x):
        return self.inner(x)


class _Centred(keras.Model):
    """A network of layers that mix nothing, which does something else with them."""

    def __init__(self, **options):
        inputs = keras.Input((4,))
        super().__init__(inputs, layers.Dense(4)(inputs), **options)

    def call(self, x):
        x = super().call(x)
        return x - tf.reduce_mean(x, 0)


class _Dense(layers.Dense):
    """A layer of the user's own, whatever it does."""


def _centre(x):
    return x - tf.reduce_mean(x, 0)


_MIX = {
    "keras batch normalisation": lambda: layers.BatchNormalization(name="mixes"),
    "keras dropout": lambda: layers.Dropout(0.5, name="mixes"),
    "a lambda": lambda: layers.Lambda(_centre, name="mixes"),
    "a subclassed model": lambda: _Subclassed(name="mixes"),
    "a subclassed functional model": lambda: _Centred(name="mixes"),
    "a subclassed layer": lambda: _Dense(4, name="mixes"),
    "an activation of one's own": lambda: layers.Activation(_centre, name="mixes"),
    "a layer with one": lambda: layers.Dense(4, activation=_centre, name="mixes"),
    "a softmax over samples": lambda: layers.Softmax(axis=0, name="mixes"),
}

_SEPARATE = {
    "nothing": lambda: _network(),
    "ours": lambda: keras.Sequential([BatchNormalization(), Dropout(0.5)]),
    "activations": lambda: keras.Sequential(
        [layers.Activation("tanh"), layers.LeakyReLU(), layers.Softmax(), layers.Dense(4, "relu")]
    ),
    "other normalisations": lambda: keras.Sequential(
        [layers.LayerNormalization(), layers.GroupNormalization(2)]
    ),
}


def _nested(inner):
    """Return layers that have one inside, at each depth and in each kind of network."""
    yield inner()
    yield keras.Sequential([layers.Dense(4), inner()])
    yield _network(inner())
    yield _network(keras.Sequential([keras.Sequential([inner()]), layers.Dense(4)]))


@pytest.mark.parametrize("inner", _MIX.values(), ids=_MIX)
def test_a_layer_that_may_mix_samples_is_found_wherever_it_is(inner):
    for outer in _nested(inner):
        assert mixing_layer(_network(outer, layers.Dense(4))) == "mixes"


def test_an_operation_on_tensors_may_mix_samples():
    inputs = keras.Input((4,))
    centred = inputs - keras.ops.mean(inputs, axis=0, keepdims=True)
    assert mixing_layer(keras.Model(inputs, centred)).startswith("mean")
    inner = keras.Model(inputs, centred, name="inner")
    assert mixing_layer(_network(inner)).startswith("mean")


def test_samples_that_are_joined_into_one_batch_are_mixed():
    inputs = keras.Input((4,))
    joined = layers.Concatenate(axis=0, name="joined")([inputs, layers.Dense(4)(inputs)])
    assert mixing_layer(keras.Model(inputs, joined)) == "joined"
    beside = layers.Concatenate()([inputs, layers.Dense(4)(inputs)])
    assert mixing_layer(keras.Model(inputs, beside)) is None


@pytest.mark.parametrize("inner", _SEPARATE.values(), ids=_SEPARATE)
def test_known_layers_mix_nothing_wherever_they_are(inner):
    for outer in _nested(inner):
        assert mixing_layer(_network(outer, layers.Dense(4))) is None


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (ModelConfig("mlp"), (8, 8, 1)),
        (ModelConfig("dcgan", condition="auxiliary"), (16, 16, 1)),
        (ModelConfig("dcgan", condition="projection"), (17, 16, 1)),
        (ModelConfig("resnet", attention=True), (16, 16, 1)),
        (ModelConfig("resnet", condition="projection"), (16, 16, 1)),
        (ModelConfig("volume"), (8, 8, 9, 1)),
        (ModelConfig("volume", condition="regression"), (8, 8, 8, 1)),
    ],
)
def test_the_families_mix_nothing(model, shape):
    assert [mixing_layer(network) for network in build(small(model), shape, 0)] == [None, None]


def _with_room_for(monkeypatch, shards):
    """Let a batch have the outputs of some shards' 10 samples: of each, 4 + 4 + 4 floats."""
    monkeypatch.setattr("hpcgan.gan.models.together.PASS_BYTES", shards * 10 * 4 * 12)


@pytest.mark.parametrize(
    ("hosted", "room", "together"),
    [(7, 3, 1), (8, 2, 2), (8, 3, 2), (8, 4, 4), (8, 100, 8), (6, 4, 3), (1, 5, 1), (8, 0.5, 1)],
)
def test_as_many_go_together_as_there_is_room_for_in_equal_batches(
    monkeypatch, hosted, room, together
):
    _with_room_for(monkeypatch, room)
    assert shards_together([_network(layers.Dense(4))], hosted, 10) == together


def test_all_networks_and_all_samples_count(monkeypatch):
    _with_room_for(monkeypatch, 4)
    one, two = _network(layers.Dense(4)), _network(keras.Sequential([layers.Dense(4)]))
    assert shards_together([one], 8, 10) == 4
    assert shards_together([one, two], 8, 10) == 2
    assert shards_together([one], 8, 20) == 2


def test_shards_that_a_layer_would_mix_come_one_after_the_other(monkeypatch):
    _with_room_for(monkeypatch, 100)
    mixing = _network(layers.BatchNormalization())
    assert shards_together([mixing, _network()], 8, 10) == 1
    assert shards_together([_network(), mixing], 8, 10) == 1


def test_shards_that_are_normalised_together_all_go_together(monkeypatch):
    _with_room_for(monkeypatch, 1)
    inner = keras.Sequential([SynchronisedBatchNormalization()])
    mixing = _network(layers.BatchNormalization())
    assert shards_together([_network(inner), _network()], 8, 10) == 8
    assert shards_together([_network(inner), mixing], 8, 10) == 8


@pytest.mark.parametrize("inner", [_MIX["a lambda"], _MIX["an activation of one's own"]])
def test_what_is_called_mixing_does_mix(inner):
    """What the tests above take for mixing does: a sample's output depends on its batch."""
    network, x = _network(inner()), np.random.default_rng(0).normal(size=(6, 4))
    assert not np.allclose(network(x)[:3], network(x[:3]))
