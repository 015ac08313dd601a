"""The exported model makes what ``hpcgan generate`` makes, from the same latents and labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hpcgan.checkpoint import Checkpoint
from hpcgan.config import ModelConfig, TrainConfig
from hpcgan.data.sample_info import SampleInfo
from hpcgan.data.values import inverse
from hpcgan.export import model as models
from hpcgan.gan.sampling import sampling_inputs
from hpcgan.gan.state import State
from tests.export.made import CLASSES, SHOWERS, checkpoint_at

EMA = TrainConfig(ema=0.9)
PLAIN = ModelConfig(latent_dim=6)


def generated(found: Checkpoint) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the first 16 samples as ``generate`` makes them, but not rounded, and their labels."""
    state = State(found.config, found.sample_shape)
    state.load(found.groups, "here")
    inputs, labels = sampling_inputs(found.config.model, 0, 0, found.samples.counts)
    given = inputs[:16] if labels is None else [each[:16] for each in inputs]
    samples = np.array(state.sampler(given, training=False))
    if found.dtype == "uint8":
        samples = np.clip((samples + 1) * 127.5, 0, 255)
    return inverse(found.samples.mapping, samples), None if labels is None else labels[:16]


CASES = {
    "mapped": (PLAIN, (8, 8, 1), "float32", SampleInfo("log10:0.1 minmax:-1,3"), None),
    "classes, one empty": (CLASSES, (9, 8, 1), "uint8", SampleInfo("", (), (5, 0, 3)), EMA),
    "two real labels": (SHOWERS, (8, 9, 8, 1), "float32", SampleInfo("scale:0.5,0"), EMA),
}


@pytest.mark.parametrize("name", CASES)
def test_the_first_samples_are_those_of_generate(tmp_path: Path, name: str) -> None:
    found = checkpoint_at(tmp_path / "c.h5", *CASES[name])
    expected, labels = generated(found)
    inputs = models.first_inputs(found, 300)
    assert len(inputs["latent"]) == 300
    first = {key: array[:16] for key, array in inputs.items()}
    exported = models.build(found)
    samples = np.array(exported(first)["samples"])
    assert samples.dtype == np.float32
    assert np.ptp(samples) > 1
    assert labels is None or np.array_equal(first["label"], labels)
    assert labels is None or first["label"].dtype == labels.dtype
    close = 1e-6 * np.ptp(samples)
    np.testing.assert_allclose(samples, expected, rtol=0, atol=close)
    compiled = models.serving(exported)(**first)["samples"]
    np.testing.assert_allclose(np.array(compiled), samples, rtol=0, atol=close)


def test_the_average_is_exported_in_float32_whatever_was_trained(tmp_path: Path) -> None:
    made = {}
    for precision in ("float32", "mixed_float16"):
        train = TrainConfig(ema=0.9, precision=precision)
        found = checkpoint_at(tmp_path / f"{precision}.h5", CLASSES, (9, 8, 1), train=train)
        exported = models.build(found)
        assert {each.compute_dtype for each in exported.layers} == {"float32"}
        inputs = models.first_inputs(found, 5)
        made[precision] = np.array(exported(inputs)["samples"])
    assert np.array_equal(made["float32"], made["mixed_float16"])
    found.groups["generator_ema"]["upsample_0/bias"] += 0.5
    assert not np.allclose(np.array(models.build(found)(inputs)["samples"]), made["float32"])
    before = np.array(models.build(found)(inputs)["samples"])
    found.groups["generator"]["upsample_0/bias"] += 0.5
    assert np.array_equal(np.array(models.build(found)(inputs)["samples"]), before)
