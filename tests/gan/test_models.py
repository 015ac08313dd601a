"""The families of networks: how they follow the sample's shape, and what labels do."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from hpcgan.config import ModelConfig
from hpcgan.errors import ConfigError
from hpcgan.gan.models import build


def _weights(model):
    return {w.path.split("/", 1)[1]: tuple(w.shape) for w in model.trainable_variables}


def test_mlp_is_the_contracts():
    networks = build(ModelConfig(name="mlp"), (28, 28, 1), 0)
    assert _weights(networks.generator) == {
        "hidden_1/kernel": (100, 128),
        "hidden_1/bias": (128,),
        "hidden_2/kernel": (128, 128),
        "hidden_2/bias": (128,),
        "pixels/kernel": (128, 784),
        "pixels/bias": (784,),
    }
    assert _weights(networks.discriminator) == {
        "hidden_1/kernel": (784, 128),
        "hidden_1/bias": (128,),
        "hidden_2/kernel": (128, 128),
        "hidden_2/bias": (128,),
        "logit/kernel": (128, 1),
        "logit/bias": (1,),
    }


def test_dcgan_at_28_is_the_contracts():
    networks = build(ModelConfig(name="dcgan"), (28, 28, 1), 0)
    assert _weights(networks.generator) == {
        "dense_2/kernel": (100, 6272),
        "norm_2/gamma": (6272,),
        "norm_2/beta": (6272,),
        "upsample_1/kernel": (5, 5, 64, 128),
        "norm_1/gamma": (64,),
        "norm_1/beta": (64,),
        "upsample_0/kernel": (5, 5, 1, 64),
        "upsample_0/bias": (1,),
    }
    assert _weights(networks.discriminator) == {
        "downsample_1/kernel": (5, 5, 1, 64),
        "downsample_1/bias": (64,),
        "downsample_2/kernel": (5, 5, 64, 128),
        "downsample_2/bias": (128,),
        "logit/kernel": (6272, 1),
        "logit/bias": (1,),
    }
    slopes = [
        layer.negative_slope for layer in networks.discriminator.layers if "leaky" in layer.name
    ]
    rates = [layer.rate for layer in networks.discriminator.layers if "dropout" in layer.name]
    assert slopes == [pytest.approx(0.2)] * 2
    assert rates == [0.3, 0.3]


@pytest.mark.parametrize(
    ("size", "coarsest", "widths"),
    [
        (8, 4, [4]),
        (16, 4, [8, 4]),
        (28, 7, [8, 4]),
        (32, 4, [16, 8, 4]),
        (64, 4, [32, 16, 8, 4]),
        (128, 4, [64, 32, 16, 8, 4]),
    ],
)
def test_dcgan_adds_a_level_of_twice_the_width_for_each_doubling(size, coarsest, widths):
    networks = build(ModelConfig(name="dcgan", width=4, latent_dim=3), (size, size, 2), 0)
    shapes = _weights(networks.generator)
    assert shapes[f"dense_{len(widths)}/kernel"] == (3, coarsest * coarsest * widths[0])
    inputs = [shapes[f"upsample_{level}/kernel"][-1] for level in reversed(range(len(widths)))]
    assert inputs == widths


@pytest.mark.parametrize("name", ["mlp", "dcgan"])
@pytest.mark.parametrize("shape", [(8, 8, 1), (25, 31, 3), (9, 40, 4)])
def test_samples_have_the_datas_shape_and_range(name, shape):
    networks = build(ModelConfig(name=name, width=4, latent_dim=3), shape, 0)
    samples = np.array(networks.generator(np.random.default_rng(0).normal(size=(5, 3)) * 50))
    assert samples.shape == (5, *shape)
    assert np.abs(samples).max() <= 1
    assert networks.discriminator(samples).shape == (5, 1)


def test_mlp_makes_volumes():
    networks = build(ModelConfig(name="mlp"), (4, 5, 6, 2), 0)
    assert networks.generator(np.zeros((2, 100))).shape == (2, 4, 5, 6, 2)


@pytest.mark.parametrize("shape", [(7, 8, 1), (8, 129, 1), (8, 8, 5), (8, 8, 8, 1)])
def test_dcgan_refuses_other_shapes(shape):
    with pytest.raises(ConfigError, match=r"dcgan makes samples .* choose model\.name mlp"):
        build(ModelConfig(name="dcgan"), shape, 0)


def test_the_seed_decides_the_initial_weights():
    first, same, other = (build(ModelConfig(), (8, 8, 1), seed).generator for seed in (1, 1, 2))
    kernel = np.array(first.weights[0])
    np.testing.assert_array_equal(kernel, np.array(same.weights[0]))
    assert not np.allclose(kernel, np.array(other.weights[0]))


_CLASSES = 3

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


def _small(config):
    return dataclasses.replace(config, width=4, latent_dim=3, classes=_CLASSES)


def _labels(config, count):
    if config.condition == "regression":
        return np.linspace(0.1, 1, count, dtype="float32")
    return np.arange(count, dtype="int32") % _CLASSES


def _play(config, networks, batch):
    """Return a batch of samples, and the list of what D says of them, as in training."""

    def stateless(model, inputs):
        states = (model.trainable_variables, model.non_trainable_variables)
        return model.stateless_call(*states, inputs, training=True)[0]

    latents = np.random.default_rng(0).normal(size=(batch, config.latent_dim)).astype("float32")
    labels = _labels(config, batch)
    samples = stateless(
        networks.generator, latents if config.condition == "none" else [latents, labels]
    )
    judged = [samples, labels] if config.condition == "projection" else samples
    outputs = stateless(networks.discriminator, judged)
    return samples, outputs if isinstance(outputs, list) else [outputs]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize(("config", "shape"), _ALL)
def test_outputs_have_their_shapes_and_are_float32(config, shape, policy):
    config = _small(config)
    keras.config.set_dtype_policy(policy)
    try:
        networks = build(config, shape, 0)
        samples, outputs = _play(config, networks, 5)
    finally:
        keras.config.set_dtype_policy("float32")
    guesses = {"auxiliary": [(5, _CLASSES)], "regression": [(5, 1)]}.get(config.condition, [])
    assert samples.shape == (5, *shape)
    assert [tuple(o.shape) for o in outputs] == [(5, 1), *guesses]
    assert {t.dtype for t in [samples, *outputs]} == {tf.float32}
    assert all(np.all(np.isfinite(t)) for t in [samples, *outputs])
    assert {v.dtype for model in networks for v in model.trainable_variables} == {"float32"}
    assert [model.name for model in networks] == ["generator", "discriminator"]


@pytest.mark.parametrize(("config", "shape"), _ALL)
def test_variables_are_called_the_same_in_every_build(config, shape):
    first, second = (build(_small(config), shape, 0) for _ in range(2))
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
    config = _small(ModelConfig(name=name, condition="projection"))
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
    config = _small(ModelConfig(name=name, condition="auxiliary"))
    generator = build(config, (16, 16, 1), 0).generator
    latents = np.ones((_CLASSES, 3), "float32")
    labels = np.arange(_CLASSES, dtype="int32")
    samples = np.array(generator([latents, labels]))
    np.testing.assert_allclose(samples[0], samples[1], atol=1e-6)  # all scales begin as 1
    (*_, scale) = (layer for layer in generator.layers if layer.name.endswith("_classes"))
    scale.beta.assign(np.array(scale.beta) + np.array([[0.0], [1.0], [0.0]]))
    changed = np.array(generator([latents, labels]))
    np.testing.assert_allclose(changed[[0, 2]], samples[[0, 2]], atol=1e-6)
    assert not np.allclose(changed[1], samples[1], atol=1e-3)


@pytest.mark.parametrize(
    ("size", "coarsest", "widths"),
    [
        (16, 4, [1, 2, 4]),
        (28, 7, [1, 2, 4]),
        (32, 4, [1, 2, 4, 8]),
        (64, 4, [1, 2, 4, 8, 8]),
        (128, 4, [1, 2, 4, 8, 8, 8]),
    ],
)
def test_resnet_has_a_block_for_each_doubling(size, coarsest, widths):
    config = ModelConfig(name="resnet", width=2, latent_dim=3)
    networks = build(config, (size, size, 3), 0)
    g, d = (_weights(model) for model in networks)
    assert g["dense/kernel"] == (3, coarsest * coarsest * widths[-1] * 2)
    ups = [g[f"up_{level}_1_conv/kernel"][-1] for level in range(len(widths) - 1)]
    downs = [d[f"down_{level}_2_conv/kernel"][-1] for level in range(1, len(widths))]
    assert ups == [2 * width for width in widths[:-1]]
    assert downs == [2 * width for width in widths[1:]]
    assert d["down_1_1_conv/kernel"] == (3, 3, 3, 2)
    assert d["logit/kernel"] == (2 * widths[-1], 1)
    samples, (logits,) = _play(config, networks, 2)
    assert samples.shape == (2, size, size, 3)
    assert np.abs(samples).max() <= 1
    assert logits.shape == (2, 1)


def test_every_kernel_of_resnets_discriminator_is_spectrally_normalised():
    config = _small(ModelConfig(name="resnet", condition="projection", attention=True))
    discriminator = build(config, (16, 16, 1), 0).discriminator
    weights = {v.path for v in discriminator.trainable_variables if len(v.shape) > 1}
    vectors = {v.path for v in discriminator.non_trainable_variables}
    assert len(weights) > 10
    assert {path.rsplit("/", 1)[0] + "/u" for path in weights} == vectors


@pytest.mark.parametrize(
    ("shape", "level"), [((16, 16), 8), ((32, 32), 16), ((64, 40), 32), ((128, 16), 32)]
)
def test_attention_is_at_the_finest_level_up_to_32_below_the_samples(shape, level):
    config = ModelConfig(name="resnet", width=1, latent_dim=3, attention=True)
    for network in build(config, (*shape, 1), 0):
        assert max(network.get_layer("attention").output.shape[1:3]) == level


@pytest.mark.parametrize("condition", ["none", "regression"])
@pytest.mark.parametrize("shape", [(12, 12, 12, 1), (25, 25, 25, 1), (8, 13, 20, 4)])
def test_volumes(shape, condition):
    config = ModelConfig(name="volume", width=2, latent_dim=3, condition=condition)
    samples, outputs = _play(config, build(config, shape, 0), 3)
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
    ("name", "shape"),
    [
        ("resnet", (15, 16, 1)),
        ("resnet", (16, 129, 1)),
        ("resnet", (16, 16, 5)),
        ("resnet", (16, 16, 16, 1)),
        ("volume", (7, 8, 8, 1)),
        ("volume", (8, 8, 65, 1)),
        ("volume", (8, 8, 8, 5)),
        ("volume", (8, 8, 1)),
    ],
)
def test_resnet_and_volume_refuse_other_shapes(name, shape):
    with pytest.raises(ConfigError, match=rf"{name} makes samples .* choose model\.name mlp"):
        build(ModelConfig(name=name), shape, 0)
