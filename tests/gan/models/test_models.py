"""The families of networks: what all of them have in common, and what labels do."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from hpcgan.config import ModelConfig
from hpcgan.gan.models import build
from tests.gan.models.networks import CLASSES, outputs_of, small


@pytest.mark.parametrize("name", ["mlp", "dcgan"])
@pytest.mark.parametrize("shape", [(8, 8, 1), (25, 31, 3), (9, 40, 4)])
def test_samples_have_the_datas_shape_and_range(name, shape):
    networks = build(ModelConfig(name=name, width=4, latent_dim=3), shape, 0)
    samples = np.array(networks.generator(np.random.default_rng(0).normal(size=(5, 3)) * 50))
    assert samples.shape == (5, *shape)
    assert np.abs(samples).max() <= 1
    assert networks.discriminator(samples).shape == (5, 1)


def test_the_seed_decides_the_initial_weights():
    first, same, other = (build(ModelConfig(), (8, 8, 1), seed).generator for seed in (1, 1, 2))
    kernel = np.array(first.weights[0])
    np.testing.assert_array_equal(kernel, np.array(same.weights[0]))
    assert not np.allclose(kernel, np.array(other.weights[0]))


# Of each family: a configuration for every condition and option, with a shape.
_ALL = [
    (ModelConfig(name="mlp"), (8, 8, 1)),
    *[
        (ModelConfig(name=name, condition=condition, normalisation=normalisation), (16, 17, 2))
        for name in ("dcgan", "resnet")
        for condition in ("none", "projection", "auxiliary")
        for normalisation in ("batch", "synchronised")
    ],
    (ModelConfig(name="resnet", condition="projection", attention=True), (16, 16, 1)),
    (ModelConfig(name="volume"), (8, 9, 10, 2)),
    (ModelConfig(name="volume", normalisation="synchronised"), (8, 8, 8, 1)),
    (ModelConfig(name="volume", condition="regression"), (8, 9, 10, 2)),
]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize(("config", "shape"), _ALL)
def test_outputs_have_their_shapes_and_are_float32(config, shape, policy):
    config = small(config)
    keras.config.set_dtype_policy(policy)
    try:
        networks = build(config, shape, 0)
        samples, outputs = outputs_of(config, networks, 5)
    finally:
        keras.config.set_dtype_policy("float32")
    guesses = {"auxiliary": [(5, CLASSES)], "regression": [(5, 1)]}.get(config.condition, [])
    assert samples.shape == (5, *shape)
    assert [tuple(o.shape) for o in outputs] == [(5, 1), *guesses]
    assert {t.dtype for t in [samples, *outputs]} == {tf.float32}
    assert all(np.all(np.isfinite(t)) for t in [samples, *outputs])
    assert {v.dtype for model in networks for v in model.trainable_variables} == {"float32"}
    assert [model.name for model in networks] == ["generator", "discriminator"]


@pytest.mark.parametrize(("config", "shape"), _ALL)
def test_variables_are_called_the_same_in_every_build(config, shape):
    first, second = (build(small(config), shape, 0) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        paths = [v.path for v in one.weights]
        assert paths == [v.path for v in other.weights]
        assert all(path.startswith(f"{one.name}/") for path in paths)
        assert len(set(paths)) == len(paths)
        # A name that Keras counts up could be, in some build, one that we gave.
        assert [layer.name for layer in one.layers] == [layer.name for layer in other.layers]
        assert isinstance(one, keras.Sequential) or one.operations == one.layers


@pytest.mark.parametrize("name", ["dcgan", "resnet"])
def test_projection_adds_the_inner_product_with_the_labels_vector(name):
    config = small(ModelConfig(name=name, condition="projection"))
    discriminator = build(config, (16, 16, 1), 0).discriminator
    sample = np.random.default_rng(0).normal(size=(3, 16, 16, 1)).astype("float32")
    logit, table = (discriminator.get_layer(n) for n in ("logit", "embedding"))
    features = np.array(keras.Model(discriminator.inputs, logit.input)([sample, np.zeros(3)]))
    vectors = np.array(table(np.array([2, 0, 1])))
    expected = np.array(logit(features))[:, 0] + np.sum(features * vectors, 1)
    given = np.array(discriminator([sample, np.array([2, 0, 1])]))
    np.testing.assert_allclose(given[:, 0], expected, rtol=1e-4, atol=1e-5)
    other = np.array(discriminator([sample, np.array([0, 1, 2])]))
    assert not np.allclose(given, other, rtol=1e-3)


@pytest.mark.parametrize("name", ["dcgan", "resnet"])
def test_the_generator_follows_the_labels_by_its_scales(name):
    config = small(ModelConfig(name=name, condition="auxiliary"))
    generator = build(config, (16, 16, 1), 0).generator
    latents = np.ones((CLASSES, 3), "float32")
    labels = np.arange(CLASSES, dtype="int32")
    samples = np.array(generator([latents, labels]))
    np.testing.assert_allclose(samples[0], samples[1], atol=1e-6)  # all scales begin as 1
    (*_, scale) = (layer for layer in generator.layers if layer.name.endswith("_classes"))
    scale.beta.assign(np.array(scale.beta) + np.array([[0.0], [1.0], [0.0]]))
    changed = np.array(generator([latents, labels]))
    np.testing.assert_allclose(changed[[0, 2]], samples[[0, 2]], atol=1e-6)
    assert not np.allclose(changed[1], samples[1], atol=1e-3)
