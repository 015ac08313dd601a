"""The dcgan: its layers are those of the contract, and follow the sample's shape."""

from __future__ import annotations

import pytest

from hpcgan.config import ModelConfig
from hpcgan.errors import ConfigError
from hpcgan.gan.models import build
from tests.gan.models.networks import weights


def test_dcgan_at_28_is_the_contracts():
    networks = build(ModelConfig(name="dcgan"), (28, 28, 1), 0)
    assert weights(networks.generator) == {
        "dense_2/kernel": (100, 6272),
        "norm_2/gamma": (6272,),
        "norm_2/beta": (6272,),
        "upsample_1/kernel": (5, 5, 64, 128),
        "norm_1/gamma": (64,),
        "norm_1/beta": (64,),
        "upsample_0/kernel": (5, 5, 1, 64),
        "upsample_0/bias": (1,),
    }
    assert weights(networks.discriminator) == {
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
    shapes = weights(networks.generator)
    assert shapes[f"dense_{len(widths)}/kernel"] == (3, coarsest * coarsest * widths[0])
    inputs = [shapes[f"upsample_{level}/kernel"][-1] for level in reversed(range(len(widths)))]
    assert inputs == widths


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((7, 8, 1), r"choose model\.name mlp, or other data"),
        ((8, 129, 1), r"choose model\.name mlp, or other data"),
        (
            (8, 8, 5),
            r"\(D, H, W\), hpcgan-data convert --layout NDHW adds .* samples of 5 channels",
        ),
        ((8, 8, 8, 1), r"choose model\.name volume"),
    ],
)
def test_dcgan_refuses_other_shapes(shape, hint):
    with pytest.raises(ConfigError, match=rf"dcgan makes samples .*; .*{hint}"):
        build(ModelConfig(name="dcgan"), shape, 0)
