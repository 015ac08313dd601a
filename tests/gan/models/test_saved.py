"""Both networks of each family as Keras saves and loads them: all layers are registered."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from hpcgan.config import ModelConfig
from hpcgan.gan.models import build

CLASSES = {"condition": "projection", "classes": 3}
REAL = {"condition": "regression", "label_range": [1, 9, 0, 1]}
FAMILIES = {
    "mlp": (ModelConfig(name="mlp", latent_dim=3), (2, 2, 1)),
    "dcgan": (ModelConfig(name="dcgan", latent_dim=3, width=2, **CLASSES), (9, 8, 1)),
    "resnet": (
        ModelConfig(
            name="resnet", latent_dim=3, width=2, attention=True, normalisation="synchronised"
        ),
        (17, 16, 1),
    ),
    "volume": (ModelConfig(name="volume", latent_dim=3, width=2, **REAL), (8, 8, 8, 1)),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_saved_network_is_the_same_when_it_is_loaded(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(0)
    for network in build(*FAMILIES[name], seed=0):
        for each in network.variables:
            if each.dtype == "float32":
                each.assign(np.array(each) + rng.uniform(0, 0.3, each.shape))
        network.save(tmp_path / "n.keras")
        loaded = keras.models.load_model(tmp_path / "n.keras", compile=False)
        inputs = [
            rng.uniform(0, 2, (3, *each.shape[1:])).astype(each.dtype) for each in network.inputs
        ]
        given = inputs if len(inputs) > 1 else inputs[0]
        for one, other in zip(*(tf.nest.flatten(n(given)) for n in (network, loaded)), strict=True):
            assert np.array_equal(one, other)
        assert [type(each) for each in loaded.layers] == [type(each) for each in network.layers]
