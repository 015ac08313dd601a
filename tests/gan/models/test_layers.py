"""Attention, dropout and sums, against other ways of computing the same."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from hpcgan.gan.models.layers import Dropout, SelfAttention2D, SumPooling2D, all_layers

_RANDOM = np.random.default_rng(0)


def _normal(*shape):
    return _RANDOM.normal(size=shape).astype("float32")


@pytest.mark.parametrize("spectral", [False, True])
def test_attention_begins_as_the_identity(spectral):
    layer = SelfAttention2D(spectral, name="attention")
    x = _normal(2, 5, 6, 16)
    np.testing.assert_array_equal(layer(x, training=True), x)
    assert sum(v.path.endswith("/u") for v in layer.variables) == (4 if spectral else 0)
    assert len({v.path for v in layer.variables}) == len(layer.variables)
    before = [np.array(v) for v in layer.non_trainable_variables]
    layer(x, training=True)
    after = [np.array(v) for v in layer.non_trainable_variables]
    moved = [not np.allclose(a, b) for a, b in zip(before, after, strict=True)]
    # The queries and keys, of 2 outputs, and the values may have converged; the results have not.
    assert any(moved) is spectral


def test_attention_by_hand():
    layer = SelfAttention2D(False)
    x = _normal(2, 4, 6, 16)
    layer(x)
    layer.gamma.assign(0.7)
    query, key, value, result = (
        np.array(each.kernel)[0, 0] for each in (layer.query, layer.key, layer.value, layer.result)
    )

    def pooled(y):
        return y.reshape(2, 2, 2, 3, 2, -1).max((2, 4)).reshape(2, 6, -1)

    scores = (x @ query).reshape(2, 24, 2) @ pooled(x @ key).transpose(0, 2, 1)
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    attended = (weights @ pooled(x @ value)).reshape(2, 4, 6, 2)
    np.testing.assert_allclose(layer(x), x + 0.7 * attended @ result, rtol=1e-4, atol=1e-5)


def _dropped(layer, x):
    """Return which numbers of ``x`` are 0 after dropout; the others are scaled."""
    output = np.array(layer(x, training=True))
    kept = output != 0
    np.testing.assert_allclose(output[kept], x[kept] / (1 - layer.rate), rtol=1e-6)
    return ~kept


def test_each_shards_batch_has_the_mask_of_its_seed():
    x, layer = np.ones((12, 50), "float32"), Dropout(0.3)
    seeds = tf.constant([[1, 2], [3, 4], [1, 2]])
    layer.seeds = seeds
    first, second, third = np.split(_dropped(layer, x), 3)
    np.testing.assert_array_equal(first, third)
    assert (first != second).mean() > 0.2  # of 0.3 and 0.3, 0.42 differ
    assert abs(first.mean() - 0.3) < 0.1  # of 200, a standard error of 0.03
    for shard, mask in enumerate((first, second, third)):
        layer.seeds = seeds[shard : shard + 1]
        np.testing.assert_array_equal(_dropped(layer, x[:4]), mask)


def test_a_shards_mask_is_that_which_keras_draws_from_the_same_seed():
    x = np.ones((4, 50), "float32")
    ours, theirs = Dropout(0.3), keras.layers.Dropout(0.3)
    theirs.build(x.shape)
    ours.seeds = tf.constant([[5, 6]])
    theirs.seed_generator.state.assign([5, 6])
    np.testing.assert_array_equal(ours(x, training=True), theirs(x, training=True))


@pytest.mark.parametrize("seeds", [None, [[1, 2]]])
def test_nothing_is_dropped_in_use(seeds):
    x, layer = _normal(4, 5), Dropout(0.5)
    layer.seeds = None if seeds is None else tf.constant(seeds)
    np.testing.assert_array_equal(layer(x), x)


def test_hundreds_of_pixels_are_added_up_in_float32():
    # In bfloat16, a sum of ones ends at 256.
    sums = SumPooling2D(dtype="mixed_bfloat16")(tf.ones((2, 30, 20, 3), tf.bfloat16))
    assert sums.dtype == tf.float32
    np.testing.assert_array_equal(sums, np.full((2, 3), 600))


def test_the_layers_of_a_model_are_those_inside_of_others_too():
    attention = SelfAttention2D(False, name="attention")
    inner = keras.Sequential([keras.Input((4, 4, 8)), attention], name="inner")
    model = keras.Sequential([inner, Dropout(0.1, name="drop")], name="outer")
    names = [layer.name for layer in all_layers(model)]
    assert "outer" not in names
    assert {"inner", "attention", "query", "key", "value", "result", "drop"} <= set(names)
