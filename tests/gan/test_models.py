"""The two fixed networks, and how they follow the sample's shape."""

from __future__ import annotations

import numpy as np
import pytest

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
