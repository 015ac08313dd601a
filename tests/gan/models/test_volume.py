"""The networks of volumes, and of showers in a calorimeter."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from hpcgan.config import ModelConfig
from hpcgan.errors import ConfigError
from hpcgan.gan.models import build
from hpcgan.gan.models.together import shards_together
from tests.gan.models.networks import outputs_of


@pytest.mark.parametrize("condition", ["none", "regression"])
@pytest.mark.parametrize("shape", [(12, 12, 12, 1), (25, 25, 25, 1), (8, 13, 20, 4)])
def test_volumes(shape, condition):
    config = ModelConfig(name="volume", width=2, latent_dim=3, condition=condition)
    samples, outputs = outputs_of(config, build(config, shape, 0), 3)
    assert samples.shape == (3, *shape)
    assert [tuple(o.shape) for o in outputs] == [(3, 1)] * (2 if condition == "regression" else 1)


def test_a_shower_is_its_energy_times_a_shape_that_is_not_negative():
    config = ModelConfig(name="volume", width=2, latent_dim=3, condition="regression")
    generator = build(config, (8, 8, 8, 1), 0).generator
    latents = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    energy = np.array([0.1, 0.2, 0.5, 1], "float32")
    shapes = np.array(
        keras.Model(generator.inputs, generator.get_layer("softplus").output)([latents, energy])
    )
    showers = np.array(generator([latents, energy]))
    np.testing.assert_allclose(showers, shapes * energy[:, None, None, None, None], rtol=1e-6)
    assert showers.min() > 0


def test_the_energys_logarithm_is_beside_the_latent_vector():
    config = ModelConfig(name="volume", width=2, latent_dim=2, condition="regression")
    generator = build(config, (8, 8, 8, 1), 0).generator
    layer = generator.get_layer("energy").output
    given = keras.Model(generator.inputs, layer)([np.full((1, 2), 7.0), np.array([0.5])])
    np.testing.assert_allclose(given, [[7, 7, 0.5, np.log(0.5)]], rtol=1e-6)


def test_the_discriminator_of_showers_is_given_roots_and_sums():
    config = ModelConfig(name="volume", width=2, latent_dim=2, condition="regression")
    discriminator = build(config, (8, 9, 10, 2), 0).discriminator
    sample = np.random.default_rng(0).uniform(size=(3, 8, 9, 10, 2)).astype("float32")
    sample[0, 0, 0, 0] = [0, -1]
    model = keras.Model(
        discriminator.inputs,
        [discriminator.get_layer(name).output for name in ("roots", "features")],
    )
    compressed, features = map(np.array, model([sample]))
    roots = np.sqrt(np.maximum(sample, 0) + 1e-4) - 0.01
    np.testing.assert_allclose(compressed, np.concatenate([sample, roots], -1), atol=1e-6)
    along = sample.sum((2, 3, 4))
    expected = np.concatenate([along.sum(1, keepdims=True), along], 1)
    np.testing.assert_allclose(features[:, -9:], expected, rtol=1e-5)


def test_the_gradient_of_an_empty_shower_is_finite():
    config = ModelConfig(name="volume", width=2, latent_dim=2, condition="regression")
    discriminator = build(config, (8, 8, 8, 1), 0).discriminator
    sample = tf.zeros((2, 8, 8, 8, 1))
    with tf.GradientTape() as tape:
        tape.watch(sample)
        logit, _ = discriminator(sample)
    gradient = np.array(tape.gradient(logit, sample))
    assert np.all(np.isfinite(gradient))
    assert np.any(gradient)


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((7, 8, 8, 1), r"choose model\.name mlp, or other data"),
        ((8, 8, 65, 1), r"choose model\.name mlp, or other data"),
        ((8, 8, 8, 5), "samples of 5 channels need networks of your own"),
        ((8, 8, 1), r"choose model\.name dcgan or resnet"),
        ((25, 25, 25), r"if they are volumes \(D, H, W\), hpcgan-data convert --layout NDHW adds"),
    ],
)
def test_other_shapes_are_refused(shape, hint):
    with pytest.raises(ConfigError, match=rf"volume makes samples .* are \(.*\); {hint}"):
        build(ModelConfig(name="volume"), shape, 0)


def test_of_several_values_the_first_is_the_energy_and_the_others_are_beside_it():
    config = ModelConfig(
        name="volume", width=2, latent_dim=2, condition="regression", label_range=[1, 9, 0, 1, 0, 1]
    )
    generator, discriminator = build(config, (8, 8, 8, 1), 0)
    labels = np.array([[0.5, 0, 0.25]], "float32")
    given = [np.full((1, 2), 7.0), labels]
    layer = keras.Model(generator.inputs, generator.get_layer("energy").output)
    np.testing.assert_allclose(layer(given), [[7, 7, 0.5, np.log(0.5), 0, 0.25]], rtol=1e-6)
    shapes = keras.Model(generator.inputs, generator.get_layer("softplus").output)
    showers = np.array(generator(given))
    np.testing.assert_allclose(showers, 0.5 * np.array(shapes(given)), rtol=1e-6)
    assert [tuple(each.shape) for each in discriminator(showers)] == [(1, 1), (1, 3)]
    assert shards_together((generator, discriminator), 4, 2) == 4  # none mixes samples
