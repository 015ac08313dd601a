"""Counter-based random numbers: the same for the same (seed, shard, step), else different."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
import tensorflow as tf

from hpcgan.blocks import BLOCK
from hpcgan.gan import noise


def _keys(seed, shard, step, batch=0, batches=2):
    """Return the keys of one shard's batch, (1, 2) each."""
    streams = noise.streams(seed, batches, range(shard, shard + 1))
    return noise.batch_keys(streams, tf.constant(step, tf.int64), batch, batches)


def _drawn(*place, purpose="latents"):
    keys = _keys(*place)
    return noise.latents(getattr(keys, purpose), 8, 5)


def test_the_same_place_draws_the_same_latents():
    np.testing.assert_array_equal(_drawn(1, 2, 3), _drawn(1, 2, 3))


def test_another_seed_shard_step_batch_or_purpose_draws_others():
    places = [(1, 2, 3), (2, 2, 3), (1, 3, 3), (1, 2, 4), (1, 2, 3, 1), (1, 2, 3, 0, 3)]
    drawn = [_drawn(*place) for place in places]
    purposes = noise.Keys._fields
    drawn += [_drawn(1, 2, 3, purpose=purpose) for purpose in purposes[1:]]
    drawn.append(noise.sampling_latents(1, 2, 5)[:8])
    for i, one in enumerate(drawn):
        for other in drawn[:i]:
            assert not np.isclose(one, other).any()


@pytest.mark.parametrize("batches", [1, 2, 7, 1001 * 100_000])
def test_no_two_batches_of_any_steps_share_a_key(batches):
    """The last is the most that a configuration may ask for: D's 1,000 and G's, in 100,000 parts.

    A key that is its neighbour's in the next batch, or in the next step, would be here twice.
    """
    first, last = [0, 1, 2**20 % batches], [batches - 1, batches - 2, batches // 2]
    places = {(step, batch % batches) for step in range(3) for batch in first + last}
    keys = [np.array(key) for place in places for key in _keys(0, 0, *place, batches)]
    assert len({key.tobytes() for key in keys}) == len(keys)


def test_neighbours_know_nothing_of_each_other():
    """Keys that count have numbers like any others: steps, batches and shards side by side."""
    drawn = [
        np.ravel(noise.latents(_keys(0, shard, step, batch).latents, 500, 40))
        for shard in range(2)
        for step in (0, 1, 2, 2**31)
        for batch in (0, 1)
    ]
    # The standard error of each is 0.007.
    assert np.abs(np.corrcoef(drawn) - np.eye(len(drawn))).max() < 0.03


def test_a_shards_stream_does_not_depend_on_its_neighbours():
    np.testing.assert_array_equal(
        noise.streams(7, 1, range(4))[2:], noise.streams(7, 1, range(2, 4))
    )


def test_latents_are_standard_normal():
    latents = np.concatenate([noise.sampling_latents(0, block, 100) for block in range(40)])
    assert latents.shape == (40 * BLOCK, 100)
    # A million draws: the standard error of the mean is 0.001.
    assert abs(latents.mean()) < 0.005
    assert abs(latents.std() - 1) < 0.005
    # Tenths of the distribution, each with a standard error of 0.0003; and both tails.
    edges = [NormalDist().inv_cdf(tenth / 10) for tenth in range(1, 10)]
    shares = np.histogram(latents, [-np.inf, *edges, np.inf])[0] / latents.size
    assert np.abs(shares - 0.1).max() < 0.0015
    assert -6 < latents.min() < -4.3 < 4.3 < latents.max() < 6
    # Two that come of the same pair of uniform numbers know nothing of each other.
    halves = latents.reshape(40, 2, -1)
    assert abs(np.mean(halves[:, 0] * halves[:, 1])) < 0.005
    assert abs(np.mean(halves[:, 0] ** 2 * halves[:, 1] ** 2) - 1) < 0.01


def test_an_odd_number_of_latents_can_be_drawn():
    drawn = np.array(noise.latents(tf.constant([[1, 2]]), 3, 5))
    assert drawn.shape == (3, 5)
    assert len(np.unique(drawn)) == 15


def test_latents_are_made_of_philox_own_numbers():
    """Of its key (stream, 0) and its counter (0, 0, number, 0), by four."""
    stream, number = 0x0123456789ABCDEF, 5
    words = np.array([_philox((count, 0, number, 0), stream) for count in range(2)]).ravel()
    # The lowest 23 bits of a word are a float's mantissa.
    uniform = (words[:6] & 0x7FFFFF) / 2**23
    radius, angle = np.sqrt(-2 * np.log(1 - uniform[:3])), 2 * np.pi * uniform[3:]
    expected = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    drawn = noise.latents(tf.constant([[stream, number]], tf.int64), 2, 3)
    np.testing.assert_allclose(np.ravel(drawn), expected, rtol=1e-4, atol=1e-5)


def _philox(counter, key):
    """Return the four words of Philox 4x32 with ten rounds (Salmon et al., 2011, section 3.3)."""
    (a, b, c, d), (low, high) = counter, (key & 0xFFFFFFFF, key >> 32)
    for _ in range(10):
        left, right = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (
            (right >> 32) ^ b ^ low,
            right & 0xFFFFFFFF,
            (left >> 32) ^ d ^ high,
            left & 0xFFFFFFFF,
        )
        low, high = (low + 0x9E3779B9) & 0xFFFFFFFF, (high + 0xBB67AE85) & 0xFFFFFFFF
    return a, b, c, d


@pytest.mark.parametrize("count", [1, 6, 7])
def test_latents_of_several_shards_are_those_of_each_alone(count):
    keys = _several(noise.streams(3, 2, range(5))).latents
    alone = [noise.latents(key[tf.newaxis], count, 3) for key in keys]
    together = noise.latents(keys, count, 3)
    assert together.shape == (5 * count, 3)
    # Of the very same uniform numbers; but a logarithm's last bit depends on its place in a tensor.
    np.testing.assert_allclose(together, tf.concat(alone, 0), rtol=3e-7, atol=3e-7)


def test_keys_of_several_shards_are_those_of_each_alone():
    streams = noise.streams(3, 2, range(5))
    together = _several(streams)
    for shard in range(5):
        alone = _several(streams[shard : shard + 1])
        for purpose, keys, own in zip(noise.Keys._fields, together, alone, strict=True):
            assert keys.shape == (5, 2), purpose
            np.testing.assert_array_equal(keys[shard], own[0], purpose)


def _several(streams):
    """Return the keys of a batch of shards."""
    return noise.batch_keys(streams, tf.constant(4, tf.int64), 1, 2)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
def test_seeds_of_random_layers_are_drawn_from_parts_of_each_shards_key(layers, compiled):
    """A seed per layer, of what the key is split into, as Keras' seed generators keep it."""
    keys = _several(noise.streams(3, 2, range(4))).real
    draw = tf.function(noise.dropout_seeds) if compiled else noise.dropout_seeds
    seeds = draw(keys, layers)
    assert [(each.shape, each.dtype) for each in seeds] == [((4, 2), tf.int32)] * layers
    for shard, key in enumerate(keys):
        for seed, part in zip(seeds, tf.unstack(tf.random.split(key, layers)), strict=True):
            expected = tf.random.stateless_uniform((2,), part, 0, 2**31 - 1, tf.int32, alg="philox")
            np.testing.assert_array_equal(seed[shard], expected)
    assert (
        len({seed[shard].numpy().tobytes() for seed in seeds for shard in range(4)}) == 4 * layers
    )


def test_without_random_layers_there_are_no_seeds():
    assert noise.dropout_seeds(tf.constant([[1, 2]]), 0) == []


def test_values_for_labels_are_uniform_and_their_own():
    values = np.concatenate([noise.sampling_values(0, block) for block in range(400)])
    assert values.shape == (400 * BLOCK,)
    assert (values >= 0).all()
    assert (values < 1).all()
    # 100,000 draws: the standard error of the mean is 0.001, that of a tenth's share too.
    assert abs(values.mean() - 0.5) < 0.005
    assert np.abs(np.histogram(values, 10, (0, 1))[0] / len(values) - 0.1).max() < 0.005
    assert not np.array_equal(noise.sampling_values(0, 0), noise.sampling_values(1, 0))


def test_several_values_of_labels_are_independent_and_the_first_is_the_same():
    drawn = np.concatenate([noise.sampling_values(3, block, 3) for block in range(100)])
    alone = np.concatenate([noise.sampling_values(3, block) for block in range(100)])
    assert drawn.shape == (100 * BLOCK, 3)
    assert (drawn[:, 0] == alone).all()
    # 25,600 draws: the standard error of a correlation is 0.006.
    assert np.abs(np.corrcoef(drawn.T) - np.eye(3)).max() < 0.03
