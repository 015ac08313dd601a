"""What is said of an exported generator, inside the file and as JSON beside it."""

from __future__ import annotations

import hashlib
from typing import Any

import h5py
import numpy as np

from hpcgan import __version__
from hpcgan.checkpoint import Checkpoint
from hpcgan.gan import conditions
from hpcgan.packages import version_of

LAW = "independent standard normal numbers"
# What a .keras file needs to be imported before it is loaded.
LAYERS = "hpcgan.export.layers"


def describe(found: Checkpoint, form: str, opset: int | None) -> dict[str, Any]:
    """Return the metadata of an export: what it takes and gives, and of what it was made.

    Args:
        found: the checkpoint.
        form: keras, saved_model or onnx.
        opset: of ONNX.
    """
    model = found.config.model
    latent = {"shape": [None, model.latent_dim], "dtype": "float32", "law": LAW}
    inputs: dict[str, Any] = {"latent": latent}
    if model.condition != "none":
        inputs["label"] = _label(found)
    return {
        "format": form,
        **({"opset": opset} if opset else {}),
        **({"import": modules(found)} if form == "keras" else {}),
        "inputs": inputs,
        "outputs": {"samples": _samples(found)},
        "network": model.generator or model.name,
        "averaged": "generator_ema" in found.groups,
        "precision": "float32",
        "trained_in": found.config.train.precision,
        "checkpoint": {
            "sha256": hashlib.sha256(found.path.read_bytes()).hexdigest(),
            "step": found.step,
            "images": found.images,
            "data": list(found.fingerprints),
        },
        "versions": _versions(form),
    }


def modules(found: Checkpoint) -> list[str]:
    """Return the modules that register the layers of a .keras file."""
    own = found.config.model.generator
    return [LAYERS, own.partition(":")[0]] if own else [LAYERS]


def _label(found: Checkpoint) -> dict[str, Any]:
    model, samples = found.config.model, found.samples
    if model.condition == "regression":
        ranges = conditions.label_ranges(model)
        shape = [None, *conditions.label_shape(model)]
        return {"shape": shape, "dtype": "float32", "ranges": [list(each) for each in ranges]}
    assert model.classes is not None
    names = {"names": list(samples.names)} if samples.names else {}
    empty = np.flatnonzero(np.array(samples.counts) == 0).tolist()
    without = {"classes_without_data": empty} if empty else {}
    return {"shape": [None], "dtype": "int32", "range": [0, model.classes - 1], **names, **without}


def _samples(found: Checkpoint) -> dict[str, Any]:
    about: dict[str, Any] = {"shape": [None, *found.sample_shape], "dtype": "float32"}
    if found.samples.values:
        about["units"] = "of the data's source"
        about["undone"] = found.samples.values
    elif found.dtype == "uint8":
        about["units"] = "of the data: 0 to 255, not rounded; its own are rint(samples) as uint8"
    else:
        about["units"] = "of the data"
    return about


def _versions(form: str) -> dict[str, str]:
    """Return the versions of what has made the file."""
    names = ["tensorflow", "keras", *(["onnx", "tf2onnx"] if form == "onnx" else [])]
    return {
        "hpcgan": __version__,
        **{name: version_of(name) for name in names},
        "numpy": np.__version__,
        "h5py": h5py.__version__,
    }
