"""Networks in Keras files: their features, and that no file runs code."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from hpcgan.errors import ConfigError
from hpcgan.evaluation.features.keras_file import KerasFeatures, check

SHAPE = (4, 4, 1)


def saved(path: Path, *stack: layers.Layer, shape: tuple[int | None, ...] = SHAPE) -> Path:
    keras.Sequential([keras.Input(shape), *stack]).save(path)
    return path


def refusal(path: Path, shape: tuple[int, ...] = SHAPE) -> str:
    """Return why a file is refused, on one line."""
    with pytest.raises(ConfigError) as caught:
        KerasFeatures(path, shape, "uint8", (-1.0, 1.0))
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message


def rewritten(path: Path, change) -> Path:
    """Return a copy of a file with another description."""
    out = path.with_name("changed.keras")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                described = json.loads(content)
                change(described)
                content = json.dumps(described).encode()
            new.writestr(name, content)
    return out


def last_layer(described):
    return described["config"]["layers"][-1]


@pytest.mark.parametrize(
    ("dtype", "input_range", "expected"),
    [
        ("uint8", (0.0, 255.0), [0, 51, 255]),
        ("uint8", (-1.0, 1.0), [-1, -0.6, 1]),
        ("float32", (-1.0, 1.0), [-1, 0.5, 3]),
        ("float32", (0.0, 1.0), [0, 0.75, 2]),
    ],
)
def test_samples_are_given_in_the_range_that_is_asked_for(
    tmp_path, dtype, input_range, expected
) -> None:
    path = saved(tmp_path / "a.keras", layers.Flatten(), shape=(1, 3, 1))
    extractor = KerasFeatures(path, (1, 3, 1), dtype, input_range)
    values = [0, 51, 255] if dtype == "uint8" else [-1, 0.5, 3]
    images = np.array(values, dtype).reshape(1, 1, 3, 1)
    assert (extractor.name, extractor.dimension) == ("keras", 3)
    assert extractor.features(images) == pytest.approx(np.array([expected]), abs=1e-5)
    assert extractor.features(images[:0]).shape == (0, 3)


def test_many_samples_have_the_features_that_keras_computes(tmp_path) -> None:
    path = saved(
        tmp_path / "a.keras",
        layers.Conv2D(3, 3, padding="same", activation="relu"),
        layers.BatchNormalization(),
        layers.GlobalAveragePooling2D(),
        layers.Dense(5),
        shape=(None, None, 1),
    )
    images = np.random.default_rng(0).normal(size=(70, *SHAPE)).astype(np.float32)
    found = KerasFeatures(path, SHAPE, "float32", (-1.0, 1.0)).features(images)
    expected = keras.models.load_model(path)(images, training=False)
    assert found == pytest.approx(np.asarray(expected), abs=1e-5)


def test_a_trained_functional_model_is_loaded_without_its_training(tmp_path) -> None:
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(2, 3, kernel_regularizer="l2", activation="gelu")(inputs)
    inner = keras.Sequential([keras.Input((2, 2, 2)), layers.Flatten()])
    model = keras.Model(inputs, layers.Concatenate()([inner(x), layers.Flatten()(x)]))
    model.compile("adam", "mse")
    model.save(tmp_path / "a.keras")
    assert KerasFeatures(tmp_path / "a.keras", SHAPE, "uint8", (-1.0, 1.0)).dimension == 16


def test_layers_that_run_code_or_open_files_are_refused(tmp_path) -> None:
    keras.Sequential([keras.Input(SHAPE), layers.Lambda(lambda x: x)]).save(tmp_path / "l.keras")
    assert "has a keras.layers.Lambda" in refusal(tmp_path / "l.keras")
    path = saved(tmp_path / "a.keras", layers.Flatten())
    for name in ("TFSMLayer", "TorchModuleWrapper", "StringLookup", "TextVectorization"):
        changed = rewritten(path, lambda d, n=name: last_layer(d).update(class_name=n))
        assert f"has a keras.layers.{name}" in refusal(changed)


@keras.saving.register_keras_serializable("mine")
class Own(layers.Layer):
    """A layer that this process knows, and a file may not name."""

    def call(self, x):
        return x


def test_custom_objects_are_refused_even_where_they_are_known(tmp_path) -> None:
    path = saved(tmp_path / "own.keras", Own(), layers.Flatten())
    assert "Own (mine>Own), and only layers of Keras" in refusal(path)
    hidden = saved(tmp_path / "a.keras", layers.Flatten())
    changed = rewritten(hidden, lambda d: last_layer(d).update(registered_name="mine>Own"))
    assert "Flatten (mine>Own)" in refusal(changed)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("keras.utils", "get_file"),
        ("os", "system"),
        ("keras.src.utils.file_utils", "Path"),
        ("keras.saving", "load_model"),
        ("keras.initializers", "deserialize"),
        ("builtins", "function"),
        (None, "__lambda__"),
        ([], "Dense"),
    ],
)
def test_what_is_no_layer_is_refused_wherever_it_stands(tmp_path, module, name) -> None:
    path = saved(tmp_path / "a.keras", layers.Dense(2), layers.Flatten())
    call = {"module": module, "class_name": name, "config": {}, "registered_name": None}
    changed = rewritten(path, lambda d: last_layer(d)["config"].update(more=[{"inside": call}]))
    assert name in refusal(changed)


def test_a_network_of_other_samples_or_outputs_is_refused(tmp_path) -> None:
    path = saved(tmp_path / "a.keras", layers.Flatten())
    assert "takes (4, 4, 1), and the samples have shape (8, 8, 1)" in refusal(path, (8, 8, 1))
    picture = saved(tmp_path / "b.keras", layers.Conv2D(2, 1))
    assert "gives (32, 4, 4, 2) for 32 samples" in refusal(picture)
    wide = saved(tmp_path / "c.keras", layers.Flatten(), layers.Dense(4097))
    assert "gives (32, 4097)" in refusal(wide)
    inputs = keras.Input(SHAPE)
    flat = layers.Flatten()(inputs)
    keras.Model(inputs, [flat, flat]).save(tmp_path / "d.keras")
    assert "gives 2 outputs" in refusal(tmp_path / "d.keras")


def test_what_keras_did_not_save_is_refused(tmp_path) -> None:
    assert "there is no such Keras file" in refusal(tmp_path / "none.keras")
    text = tmp_path / "text.keras"
    text.write_text("no zip")
    assert "damaged, or not saved by Keras" in refusal(text)
    with zipfile.ZipFile(tmp_path / "more.keras", "w") as archive:
        archive.writestr("assets/vocabulary.txt", "a")
    assert "holds assets/vocabulary.txt" in refusal(tmp_path / "more.keras")
    path = saved(tmp_path / "a.keras", layers.Flatten())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "damaged, or not saved by Keras" in refusal(path)
    nothing = rewritten(saved(path, layers.Flatten()), lambda d: d.clear())
    assert "Keras does not load it" in refusal(nothing)


@pytest.mark.parametrize("damage", ["external link", "external data", "bytes"])
def test_weights_that_are_damaged_or_elsewhere_are_refused(tmp_path, damage) -> None:
    path = saved(tmp_path / "a.keras", layers.Flatten(), layers.Dense(2))
    weights = tmp_path / "model.weights.h5"
    with h5py.File(weights, "w") as file:
        if damage == "external link":
            file["a"] = h5py.ExternalLink("/etc/passwd", "/")
        elif damage == "external data":
            file.create_dataset("a", (4,), "u1", external=[("/etc/passwd", 0, 4)])
    content = weights.read_bytes() if damage != "bytes" else b"no HDF5"
    changed = tmp_path / "changed.keras"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for name in ("metadata.json", "config.json"):
            new.writestr(name, old.read(name))
        new.writestr("model.weights.h5", content)
    assert "its weights are damaged" in refusal(changed)


def test_check_alone_lets_a_right_file_through(tmp_path) -> None:
    check(saved(tmp_path / "a.keras", layers.Flatten()))
