"""The layers around an exported generator, against what ``generate`` does with NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from hpcgan import pictures
from hpcgan.config import ModelConfig
from hpcgan.data import values as mappings
from hpcgan.export.layers import DataUnits, NetworkLabels
from hpcgan.gan import conditions

MADE = np.linspace(-1, 1, 4001, dtype=np.float32).reshape(-1, 1, 1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "identity",
        "scale:3,-1",
        "symlog:0.001",
        "minmax:-3,40",
        "log10:0.01",
        "log10:0.001 minmax:-3,2",
        "scale:10,0 symlog:0.1 minmax:-4,4",
    ],
)
def test_values_come_back_to_the_units_of_their_source(text: str) -> None:
    found = np.array(DataUnits("float32", text)(MADE))
    expected = mappings.inverse(mappings.parse(text), MADE)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=2e-7, atol=0)
    assert np.array_equal(found == 0, expected == 0)
    assert text == "identity" or not np.array_equal(found, MADE)


def test_what_is_not_above_the_floor_is_nothing() -> None:
    y = np.array([-2.5, -2, -1.9999999, -1.99, 0, 1], np.float32)
    found = np.array(DataUnits("float32", "log10:0.01")(y))
    np.testing.assert_allclose(found, [0, 0, 0, 10**-1.99, 1, 10], rtol=1e-6)


def test_pixels_are_0_to_255_and_round_to_those_of_generate() -> None:
    beyond = np.concatenate([MADE, MADE * 1.5])
    found = np.array(DataUnits("uint8", "")(beyond))
    assert (found.min(), found.max(), found.dtype) == (0, 255, np.float32)
    assert np.array_equal(np.rint(found).astype(np.uint8), pictures.to_dtype(beyond, "uint8"))
    assert not np.array_equal(found, np.rint(found))


@pytest.mark.parametrize("ranges", [[(1, 500)], [(2, 300), (-1, 1), (7, 7), (0.1, 0.7)]])
def test_real_labels_are_those_of_training(ranges: list[tuple[float, float]]) -> None:
    bounds = [float(bound) for pair in ranges for bound in pair]
    model = ModelConfig(name="volume", condition="regression", label_range=bounds)
    values = np.random.default_rng(0).uniform(size=(50, len(ranges)))
    labels = np.array(
        [low + (high - low) * v for v, (low, high) in zip(values.T, ranges, strict=True)]
    )
    labels = labels.T.astype(np.float32)
    labels = labels[:, 0] if len(ranges) == 1 else labels
    found = np.array(NetworkLabels(ranges)(labels))
    assert np.array_equal(found, conditions.as_input(model, labels))


def test_both_are_made_again_from_what_a_file_keeps() -> None:
    for layer in (DataUnits("uint8", "scale:2,1"), NetworkLabels([(1, 2), (3, 4)])):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
        assert type(again) is type(layer)
        assert again.get_config() == layer.get_config()
