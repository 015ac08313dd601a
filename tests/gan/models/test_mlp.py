"""The mlp: its layers are those of the contract."""

from __future__ import annotations

import numpy as np

from hpcgan.config import ModelConfig
from hpcgan.gan.models import build
from tests.gan.models.networks import weights


def test_mlp_is_the_contracts():
    networks = build(ModelConfig(name="mlp"), (28, 28, 1), 0)
    assert weights(networks.generator) == {
        "hidden_1/kernel": (100, 128),
        "hidden_1/bias": (128,),
        "hidden_2/kernel": (128, 128),
        "hidden_2/bias": (128,),
        "pixels/kernel": (128, 784),
        "pixels/bias": (784,),
    }
    assert weights(networks.discriminator) == {
        "hidden_1/kernel": (784, 128),
        "hidden_1/bias": (128,),
        "hidden_2/kernel": (128, 128),
        "hidden_2/bias": (128,),
        "logit/kernel": (128, 1),
        "logit/bias": (1,),
    }


def test_mlp_makes_volumes():
    networks = build(ModelConfig(name="mlp"), (4, 5, 6, 2), 0)
    assert networks.generator(np.zeros((2, 100))).shape == (2, 4, 5, 6, 2)
