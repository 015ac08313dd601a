"""Have an exported generator make samples in a process of its own, and write them.

    python run_exported.py keras|saved_model|onnx MODEL INPUTS.npz OUTPUTS.npz [MODULE ...]

INPUTS.npz holds ``batches`` and each input; OUTPUTS.npz gets the samples of the first inputs of
each size of batch, under its number. Of hpcgan nothing can be imported but for ``keras``, which
imports the MODULEs: they register the layers that the file names.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence

sys.path.pop(0)  # hpcgan's own directory, in which this file is
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import numpy as np


def load(
    form: str, path: str, modules: Sequence[str]
) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    """Return a function from the inputs, a dictionary of arrays, to the samples."""
    if form == "keras":
        for name in modules:
            importlib.import_module(name)
        import keras

        model = keras.models.load_model(path, compile=False, safe_mode=True)
        return lambda inputs: np.array(model(inputs, training=False)["samples"])
    sys.modules["hpcgan"] = None  # type: ignore[assignment]  # its import fails
    if form == "saved_model":
        import tensorflow as tf

        loaded = tf.saved_model.load(path)
        serve = loaded.signatures["serving_default"]
        return lambda inputs: np.array(
            serve(**{name: tf.constant(array) for name, array in inputs.items()})["samples"]
        )
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(["samples"], inputs)[0]


def main(form: str, path: str, inputs_file: str, outputs_file: str, *modules: str) -> None:
    """Load the model and write its samples."""
    with np.load(inputs_file) as found:
        inputs = dict(found)
    batches = inputs.pop("batches").tolist()
    sample = load(form, path, modules)
    made = {
        str(size): sample({name: array[:size] for name, array in inputs.items()})
        for size in batches
    }
    np.savez(outputs_file, **made)


if __name__ == "__main__":
    main(*sys.argv[1:])
