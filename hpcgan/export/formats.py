"""The formats: how a model is written, and how its metadata come inside.

None holds code: a ``.keras`` file names layers, which whoever loads it imports, and a SavedModel
and ONNX are graphs of operations of their formats.
"""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from hpcgan.devices import silent_stderr
from hpcgan.errors import RunError
from hpcgan.export.model import Serve

_INSIDE = "hpcgan.json"  # the metadata in a .keras file and in a SavedModel
_KEY = "hpcgan"  # and in ONNX


def stay_on_the_processor() -> None:
    """Use no GPU, whose sums differ: what is compared is made by the same kind of device."""
    tf.config.set_visible_devices([], "GPU")


def write(
    model: keras.Model, serve: Serve, form: str, path: Path, about: dict[str, Any], opset: int
) -> None:
    """Write a model and its metadata to a path that is free.

    Args:
        model: the model, which ``.keras`` keeps.
        serve: its function, which the others keep.
        form: keras, saved_model or onnx.
        path: with the format's suffix.
        about: the metadata.
        opset: of ONNX.

    Raises:
        RunError: the model has operations that ONNX has not, or, for Keras, layers that are code.
        OSError: the path cannot be written.
    """
    text = json.dumps(about)
    if form == "keras":
        _write_keras(model, path, text)
    elif form == "saved_model":
        _write_saved_model(model, serve, path)
        # The directory that the format leaves to others; TensorFlow does not read it.
        (path / "assets.extra").mkdir()
        (path / "assets.extra" / _INSIDE).write_text(text, encoding="utf-8")
    else:
        _write_onnx(serve, path, text, opset)


def _write_keras(model: keras.Model, path: Path, text: str) -> None:
    model.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        if b"__lambda__" in archive.read("config.json"):
            raise RunError(
                f"{path.name}: this generator has a Lambda layer, which a .keras file would keep "
                "as code; make it a registered layer, or export a SavedModel or ONNX"
            )
        archive.writestr(_INSIDE, text)


def _write_saved_model(model: keras.Model, serve: Serve, path: Path) -> None:
    """Write the function and the variables that it uses, without Keras' layers."""
    holder = tf.Module()
    holder.of_model = [each.value for each in model.variables]
    try:
        tf.saved_model.save(holder, str(path), signatures=serve)
    except tf.errors.OpError as error:
        said = re.sub(r"^\{\{.*?\}\} ", "", error.message)  # the operation's place in a graph
        raise OSError(" ".join(said.split())) from None


def _write_onnx(serve: Serve, path: Path, text: str, opset: int) -> None:
    import onnx
    import tf2onnx

    with silent_stderr():  # TensorFlow tells of each session that it starts
        found, _ = tf2onnx.convert.from_function(
            serve, input_signature=serve.input_signature, opset=opset
        )
    for each in (*found.graph.input, *found.graph.output):
        each.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.helper.set_model_props(found, {_KEY: text})
    try:
        onnx.checker.check_model(found, full_check=True)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise RunError(
            f"{path.name}: this generator is none that ONNX (opset {opset}) can hold: {reason}"
        ) from None
    onnx.save(found, path)
