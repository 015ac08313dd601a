"""Classifiers: how well they do on real digits, their files, and what is refused."""

from __future__ import annotations

import dataclasses
import json

import h5py
import numpy as np
import pytest
from scipy import special

from data_tools import digits
from hpcgan import sealed
from hpcgan.errors import ConfigError, DataError
from hpcgan.evaluation.features import classifier_file, classifier_fit, extractors, with_features
from hpcgan.evaluation.features.classifier import DIMENSION, ClassifierFeatures, build, flattened
from hpcgan.evaluation.features.classifier_file import FORMAT, Classifier
from hpcgan.files import USER_BLOCK
from tests.evaluation.made import spread_images


@pytest.fixture(autouse=True)
def _is_prepared(monkeypatch):
    """TensorFlow may be in use already, by other tests of this process."""
    monkeypatch.setattr(classifier_fit, "prepare_tensorflow", lambda world: None)


def small(sample_shape=(4, 4, 1), dtype="uint8") -> Classifier:
    weights = flattened(build(sample_shape, 3))
    return Classifier(sample_shape, dtype, 3, ("a", "b", "c"), -0.25, 2.0, 0.75, weights)


def test_real_digits_are_told_apart(world, tmp_path, capsys) -> None:
    data, out = tmp_path / "digits.h5", tmp_path / "classifier.h5"
    digits.write(data, 8, 0.2, 0)
    classifier_fit.fit(world, str(data), "labels", out, 1)
    said = capsys.readouterr().out
    found = classifier_file.read(out)
    assert found.accuracy >= 0.97
    assert said.startswith(f"{out}: a classifier of 10 classes, from 1294 samples; of 144 others")
    assert f"it finds {found.accuracy:.1%}" in said
    with h5py.File(tmp_path / "digits-held-out.h5") as file:
        images, labels = file["images"][:], file["labels"][:]
    samples = spread_images(world, images)
    extractor = extractors.make(world, f"classifier:{out}", samples, None)
    known = with_features(extractor, samples)
    assert known.probabilities is not None
    assert (known.probabilities.argmax(axis=1) == labels).mean() >= 0.95
    assert extractor.identity == found.identity


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("shape", [(5, 6, 2), (4, 5, 6, 1)])
def test_features_and_probabilities_are_those_of_the_network(shape, dtype) -> None:
    made = small(shape, dtype)
    images = np.random.default_rng(0).integers(0, 256, (70, *shape)).astype(dtype)
    extractor = ClassifierFeatures(made, "FILE")
    features = extractor.features(images)
    values = images / 127.5 - 1 if dtype == "uint8" else images
    expected, logits = build(shape, 3)((values.astype(np.float32) + 0.25) / 2)
    assert features.shape == (70, DIMENSION)
    assert features == pytest.approx(np.asarray(expected), rel=1e-4, abs=1e-4)
    assert extractor.probabilities(features) == pytest.approx(
        special.softmax(np.asarray(logits, np.float64), axis=1), rel=1e-3, abs=1e-4
    )
    assert extractor.features(images[:0]).shape == (0, DIMENSION)


def test_a_file_gives_what_was_written(tmp_path) -> None:
    made = small()
    classifier_file.write(tmp_path / "c.h5", made)
    found = classifier_file.read(tmp_path / "c.h5")
    assert np.array_equal(found.weights, made.weights)
    assert dataclasses.replace(found, weights=made.weights) == made
    assert found.identity == made.identity
    other = dataclasses.replace(made, weights=made.weights + 1)
    assert other.identity != made.identity


def refusal(path, shape=(4, 4, 1), dtype="uint8") -> str:
    with pytest.raises(ConfigError) as caught:
        extractors.check(f"classifier:{path}", shape, dtype)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message


def test_a_classifier_of_other_samples_is_refused(tmp_path) -> None:
    path = tmp_path / "c.h5"
    classifier_file.write(path, small())
    extractors.check(f"classifier:{path}", (4, 4, 1), "uint8")
    assert "shape (4, 4, 1), and the data's are uint8 of shape (8, 8, 1)" in refusal(
        path, (8, 8, 1)
    )
    assert "is a classifier of uint8 samples" in refusal(path, dtype="float32")
    fewer = dataclasses.replace(small(), weights=small().weights[1:])
    with pytest.raises(ConfigError, match="fit it again"):
        ClassifierFeatures(fewer, "FILE")


def test_damaged_files_are_refused(tmp_path) -> None:
    path = tmp_path / "c.h5"
    assert "there is no such classifier" in refusal(path)
    classifier_file.write(path, small())
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "its content does not fit its checksum" in refusal(path)
    path.write_bytes(whole[USER_BLOCK:])
    assert f"not a classifier of hpcgan ({FORMAT})" in refusal(path)


def with_description(path, change, weights=None) -> None:
    """Write a classifier whose checksum is right and whose description is not."""
    classifier_file.write(path, small())
    with h5py.File(path, "r+") as file:
        text = file.attrs["description"]
        del file.attrs["description"]
        file.attrs["description"] = change(text)
        if weights is not None:
            del file["weights"]
            file["weights"] = weights
    content = path.read_bytes()[USER_BLOCK:]
    path.write_bytes(sealed.seal(FORMAT, memoryview(content)) + content)


@pytest.mark.parametrize(
    "change",
    [
        {"sample_shape": [4, 4]},
        {"sample_shape": [4, 4, -1]},
        {"sample_shape": 4},
        {"dtype": "object"},
        {"classes": 2**60},
        {"classes": "3"},
        {"names": ["a"]},
        {"names": [1, 2, 3]},
        {"deviation": 0},
        {"mean": "nan"},
    ],
)
def test_a_description_that_contradicts_itself_is_refused(tmp_path, change) -> None:
    path = tmp_path / "c.h5"
    with_description(path, lambda text: json.dumps(json.loads(text) | change))
    assert "damaged, or no classifier" in refusal(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000])
def test_a_description_that_is_none_is_refused(tmp_path, text) -> None:
    with_description(tmp_path / "c.h5", lambda _: np.bytes_(text) if len(text) < 99 else "[" * 9999)
    assert "damaged, or no classifier" in refusal(tmp_path / "c.h5")


@pytest.mark.parametrize(
    "weights", [np.zeros((2, 2), np.float32), np.zeros(4), np.full(4, np.nan, np.float32)]
)
def test_weights_that_are_no_plain_vector_are_refused(tmp_path, weights) -> None:
    with_description(tmp_path / "c.h5", lambda text: text, weights)
    assert "damaged, or no classifier" in refusal(tmp_path / "c.h5")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (
            np.linspace(0, 1, 40, dtype=np.float32),
            "holds float32 of shape (40,); a classifier needs",
        ),
        (np.zeros((40, 2), np.float32), "holds float32 of shape (40, 2)"),
        (np.zeros(40, np.int64), "goes from 0 to 0"),
        (np.arange(40) - 1, "goes from -1 to 38"),
        (np.arange(40) * 1000, "goes from 0 to 39000"),
        (None, "there is no dataset 'labels'"),
    ],
)
def test_data_without_classes_are_refused(world, data_file, tmp_path, labels, said) -> None:
    if labels is not None:
        with h5py.File(data_file, "r+") as file:
            file["labels"] = labels
    with pytest.raises(DataError) as caught:
        classifier_fit.fit(world, str(data_file), "labels", tmp_path / "c.h5", 0)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(data_file))
    assert not (tmp_path / "c.h5").exists()


def test_samples_that_are_not_finite_are_refused(world, tmp_path) -> None:
    images = np.zeros((40, 4, 4, 1), np.float32)
    images[35, 0, 0, 0] = np.nan
    samples = spread_images(world, images, np.arange(40) % 2)
    with pytest.raises(DataError, match="samples are not finite"):
        classifier_fit.train(samples, samples, 2, (), 0, 1)
