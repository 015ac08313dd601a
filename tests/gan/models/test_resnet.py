"""The resnet: its levels, spectral normalisation and attention."""

from __future__ import annotations

import numpy as np
import pytest

from hpcgan.config import ModelConfig
from hpcgan.errors import ConfigError
from hpcgan.gan.models import build
from tests.gan.models.networks import outputs_of, small, weights


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
    g, d = (weights(model) for model in networks)
    assert g["dense/kernel"] == (3, coarsest * coarsest * widths[-1] * 2)
    ups = [g[f"up_{level}_1_conv/kernel"][-1] for level in range(len(widths) - 1)]
    downs = [d[f"down_{level}_2_conv/kernel"][-1] for level in range(1, len(widths))]
    assert ups == [2 * width for width in widths[:-1]]
    assert downs == [2 * width for width in widths[1:]]
    assert d["down_1_1_conv/kernel"] == (3, 3, 3, 2)
    assert d["logit/kernel"] == (2 * widths[-1], 1)
    samples, (logits,) = outputs_of(config, networks, 2)
    assert samples.shape == (2, size, size, 3)
    assert np.abs(samples).max() <= 1
    assert logits.shape == (2, 1)


def test_every_kernel_of_resnets_discriminator_is_spectrally_normalised():
    config = small(ModelConfig(name="resnet", condition="projection", attention=True))
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


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((15, 16, 1), r"choose model\.name mlp or dcgan, or other data"),
        ((16, 129, 1), r"choose model\.name mlp or dcgan"),
        ((16, 16, 5), r"--layout NDHW adds the axis of the channels"),
        ((16, 16, 16, 1), r"choose model\.name volume"),
    ],
)
def test_other_shapes_are_refused(shape, hint):
    with pytest.raises(ConfigError, match=rf"resnet makes samples .*; .*{hint}"):
        build(ModelConfig(name="resnet"), shape, 0)
