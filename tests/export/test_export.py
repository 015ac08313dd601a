"""Whole exports: what is written, that other runtimes make the same of it, and what fails."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest

from hpcgan.checkpoint import Checkpoint
from hpcgan.config import ModelConfig, TrainConfig
from hpcgan.data.sample_info import SampleInfo
from hpcgan.errors import ConfigError, RunError
from hpcgan.export import formats, verify
from hpcgan.export.export import Wanted, export
from tests.export.made import CLASSES, SHOWERS, checkpoint_at

PLAIN = ModelConfig(latent_dim=6)
NAMED = SampleInfo("", ("cat", "dog", "emu"), (5, 0, 3))


@pytest.fixture(autouse=True)
def tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave TensorFlow as it is, which may have begun in another test of this process."""
    monkeypatch.setattr("hpcgan.export.export.prepare_tensorflow", lambda place: None)
    monkeypatch.setattr("hpcgan.export.formats.stay_on_the_processor", lambda: None)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """Return a checkpoint of the smallest networks, alone in a directory."""
    return checkpoint_at(tmp_path / "c.h5", PLAIN, (2, 2, 1)).path


def names(place: Path) -> list[str]:
    """Return what is in a directory."""
    return sorted(each.name for each in place.iterdir())


def beside(out: Path) -> dict[str, Any]:
    """Return the metadata beside a file."""
    return json.loads(out.with_name(f"{out.name}.json").read_text())


def written(found: Checkpoint, out: Path) -> dict[str, Any]:
    """Export, which compares in a new process; return the metadata beside the file."""
    said = export(Wanted(found.path, out))
    assert said.startswith(f"generator of {found.path} in {out}: largest difference ")
    assert names(out.parent) == sorted(
        ["c.h5", out.name, f"{out.name}.check.npz", f"{out.name}.json"]
    )
    about = beside(out)
    assert about["check"]["batches"] == [1, 16, 300]
    with np.load(f"{out}.check.npz") as check:
        assert set(check) == {*about["inputs"], "samples"}
        assert {len(array) for array in check.values()} == {16}
        assert list(check["samples"].shape[1:]) == about["outputs"]["samples"]["shape"][1:]
    return about


def test_onnx_with_names_metadata_and_any_batch(tmp_path: Path) -> None:
    train = TrainConfig(ema=0.9, precision="mixed_bfloat16")
    found = checkpoint_at(tmp_path / "c.h5", CLASSES, (9, 8, 1), "uint8", NAMED, train)
    out = tmp_path / "g.onnx"
    about = written(found, out)
    checked = about.pop("check")
    assert checked["largest_difference"] <= 1e-5 * checked["range"]
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["hpcgan"]) == about
    shapes = [(each.name, each.shape, each.type) for each in session.get_inputs()]
    assert shapes == [
        ("latent", ["batch", 6], "tensor(float)"),
        ("label", ["batch"], "tensor(int32)"),
    ]
    (output,) = session.get_outputs()
    assert (output.name, output.shape) == ("samples", ["batch", 9, 8, 1])
    assert {each.version for each in onnx.load(out).opset_import if not each.domain} == {13}
    with np.load(f"{out}.check.npz") as check:
        check = dict(check)
    expected = check.pop("samples")
    (samples,) = session.run(None, check)
    np.testing.assert_allclose(samples, expected, rtol=0, atol=1e-5 * checked["range"])
    assert set(check["label"]) == {0, 2}
    assert about["inputs"] == {
        "latent": {
            "shape": [None, 6],
            "dtype": "float32",
            "law": "independent standard normal numbers",
        },
        "label": {
            "shape": [None],
            "dtype": "int32",
            "range": [0, 2],
            "names": ["cat", "dog", "emu"],
            "classes_without_data": [1],
        },
    }
    assert (about["network"], about["averaged"], about["opset"]) == ("dcgan", True, 13)
    assert (about["precision"], about["trained_in"]) == ("float32", "mixed_bfloat16")
    assert about["checkpoint"]["step"] == 7
    assert about["checkpoint"]["data"] == ["0123456789abcdef"]


def test_a_saved_model_of_mapped_showers_with_real_labels(tmp_path: Path) -> None:
    samples = SampleInfo("symlog:0.1")
    found = checkpoint_at(tmp_path / "c.h5", SHOWERS, (8, 9, 8, 1), samples=samples)
    out = tmp_path / "showers"
    about = written(found, out)
    assert about.pop("check")["largest_difference"] == 0
    assert json.loads((out / "assets.extra" / "hpcgan.json").read_text()) == about
    assert about["inputs"]["label"] == {
        "shape": [None, 2],
        "dtype": "float32",
        "ranges": [[1, 500], [-1, 1]],
    }
    assert about["outputs"]["samples"]["undone"] == "symlog:0.1"


def test_other_samples_are_a_failure_that_leaves_nothing(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(verify.TOLERANCE, "onnx", -1.0)
    with pytest.raises(RunError, match=r"g\.onnx: onnxruntime gives samples that differ by up to"):
        export(Wanted(plain, plain.with_name("g.onnx")))
    assert names(plain.parent) == ["c.h5"]


def test_a_file_that_its_runtime_does_not_load_is_a_failure_that_leaves_nothing(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(model: Any, serve: Any, form: str, path: Path, *others: Any) -> None:
        path.write_bytes(b"no graph")

    monkeypatch.setattr(formats, "write", write)
    with pytest.raises(RunError, match=r"g\.onnx: onnxruntime cannot use it: .*\(status 1\); noth"):
        export(Wanted(plain, plain.with_name("g.onnx")))
    assert names(plain.parent) == ["c.h5"]


def test_a_lambda_is_not_written_into_a_keras_file(tmp_path: Path) -> None:
    inputs = keras.Input((2,), name="latent")
    model = keras.Model(
        {"latent": inputs}, {"samples": keras.layers.Lambda(lambda x: 2 * x)(inputs)}
    )
    with pytest.raises(
        RunError, match=r"g\.keras: this generator has a Lambda layer, which a \.ker"
    ):
        formats.write(model, None, "keras", tmp_path / "g.keras", {}, 13)


def test_a_disk_that_is_full_is_told_in_a_line_and_nothing_is_left(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def savez(*arguments: Any, **arrays: np.ndarray) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", savez)
    with pytest.raises(RunError, match="g: cannot be written: No space left on device; make room"):
        export(Wanted(plain, plain.with_name("g"), checked=False))
    assert names(plain.parent) == ["c.h5"]


def test_without_a_check_no_runtime_is_needed(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    out = plain.with_name("g.onnx")
    with pytest.raises(ConfigError) as caught:
        export(Wanted(plain, out))
    install = "pip install 'hpcgan[export]', or use --no-check"
    assert str(caught.value) == f"--out {out}: onnxruntime is not installed: {install}"
    assert names(plain.parent) == ["c.h5"]
    assert export(Wanted(plain, out, opset=11, checked=False)).endswith(": not checked")
    assert "check" not in beside(out)
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ConfigError, match=r"h\.onnx: tf2onnx is not installed: pip install 'hpcg"):
        export(Wanted(plain, plain.with_name("h.onnx"), checked=False))


def test_a_run_stands_for_its_newest_checkpoint(tmp_path: Path) -> None:
    place = tmp_path / "run" / "checkpoints"
    place.mkdir(parents=True)
    path = checkpoint_at(place / "step_00000007.h5", PLAIN, (2, 2, 1)).path
    out = tmp_path / "g.onnx"
    said = export(Wanted(tmp_path / "run", out, checked=False))
    assert said == f"generator of {path} in {out}: not checked"


@pytest.mark.parametrize(
    ("name", "opset", "said"),
    [
        ("g.h5", None, r"--out .*g\.h5: the suffix must be \.keras or \.onnx, or none for"),
        ("g.keras", 13, r"--opset 13 is for \.onnx, and --out is .*g\.keras"),
        ("old.onnx", None, r"old\.onnx\.json: is there already; delete it, or choose another"),
        ("c.h5/g.onnx", None, r"c\.h5/g\.onnx: there is no directory .*c\.h5; make it first"),
    ],
)
def test_what_is_refused(plain: Path, name: str, opset: int | None, said: str) -> None:
    plain.with_name("old.onnx.json").write_text("{}")
    with pytest.raises(Exception, match=said) as caught:
        export(Wanted(plain, plain.parent / name, opset))
    assert getattr(caught.value, "status", None) == 2
    assert names(plain.parent) == ["c.h5", "old.onnx.json"]


OWN = """
import keras
from keras import layers
from hpcgan.gan.models.layers import SelfAttention2D
from hpcgan.gan.models.normalisation import BatchNormalization

@keras.saving.register_keras_serializable("mine")
class Twice(keras.Layer):
    def call(self, x):
        return 2 * x

def generator(config, shape):
    latent = keras.Input((config.latent_dim,))
    x = layers.Reshape((3, 2, 8))(layers.Dense(48, name="one")(latent))
    x = SelfAttention2D(spectral=True, name="attention")(BatchNormalization(name="norm")(x))
    x = layers.Conv2D(1, 3, padding="same", name="two")(x)
    return keras.Model(latent, Twice(name="twice")(x))
"""


def test_a_keras_file_of_a_network_of_ones_own_with_layers_of_hpcgan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own_for_export.py").write_text(OWN)
    model = ModelConfig(latent_dim=6, generator="own_for_export:generator")
    found = checkpoint_at(tmp_path / "c.h5", model, (3, 2, 1))
    out = tmp_path / "g.keras"
    with pytest.raises(ConfigError, match=r"use hpcgan export with --trust-networks"):
        export(Wanted(found.path, out))
    export(Wanted(found.path, out, trusted=True))
    about = beside(out)
    assert about.pop("check")["largest_difference"] == 0
    assert about["import"] == ["hpcgan.export.layers", "own_for_export"]
    assert about["network"] == "own_for_export:generator"
    with zipfile.ZipFile(out) as archive:
        assert json.loads(archive.read("hpcgan.json")) == about
