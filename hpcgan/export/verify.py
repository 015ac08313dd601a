"""An exported file against this process: loaded in a new process by its own runtime, and compared.

TensorFlow gives other last bits in batches of another size, and on another number of threads: so
each size is compared with the same size here, on as many threads. By the same operations, Keras and
a SavedModel give the same bits.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import hpcgan
from hpcgan.errors import RunError
from hpcgan.export import run_exported
from hpcgan.terminal import printable

BATCHES = (1, 16, 300)
# Of the samples' range: ONNX Runtime adds in another order.
TOLERANCE = {"keras": 0.0, "saved_model": 0.0, "onnx": 1e-5}
_MOST_SAID = 250  # characters of a runtime's error
_RUNTIME = {"keras": "keras", "saved_model": "tensorflow", "onnx": "onnxruntime"}

Sample = Callable[[dict[str, np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class Agreement:
    """How an exported file's samples differ from those of this process.

    Attributes:
        difference: the largest of all batches.
        range: of the samples, the largest less the smallest.
    """

    difference: float
    range: float

    def as_json(self, form: str) -> dict[str, Any]:
        """Return it for the metadata."""
        return {
            "runtime": _RUNTIME[form],
            "batches": list(BATCHES),
            "largest_difference": self.difference,
            "range": self.range,
        }


def verify(
    form: str,
    path: Path,
    inputs: dict[str, np.ndarray],
    here: Sample,
    modules: Sequence[str],
    out: Path,
) -> Agreement:
    """Compare an exported file with this process.

    Args:
        form: keras, saved_model or onnx.
        path: the file.
        inputs: for the largest batch.
        here: returns what the file should, from inputs.
        modules: what Keras imports for it.
        out: its name in messages.

    Raises:
        RunError: it cannot be loaded, or gives other samples.
    """
    found = _run(form, path, inputs, modules, out)
    expected = [here({name: array[:size] for name, array in inputs.items()}) for size in BATCHES]
    width = _range(expected[-1])
    worst = max(map(_difference, found, expected))
    if not worst <= TOLERANCE[form] * width:
        allowed = f"{TOLERANCE[form]:g} of it" if TOLERANCE[form] else "nothing"
        raise RunError(
            f"{out}: {_RUNTIME[form]} gives samples that differ by up to {worst:g} from those of "
            f"the checkpoint's generator, whose range is {width:g}, and {allowed} is allowed; "
            "nothing was written (--no-check writes it all the same)"
        )
    return Agreement(worst, width)


def _run(
    form: str, path: Path, inputs: dict[str, np.ndarray], modules: Sequence[str], out: Path
) -> list[np.ndarray]:
    """Return what a new process makes by the file, for each size of batch."""
    with tempfile.TemporaryDirectory() as place:
        given, made = Path(place) / "inputs.npz", Path(place) / "outputs.npz"
        np.savez(given, batches=np.array(BATCHES), **inputs)
        words = [run_exported.__file__, form, path, given, made, *modules]
        done = subprocess.run(
            [sys.executable, *map(str, words)],
            env=_environment(has_own=len(modules) > 1),
            capture_output=True,
            check=False,
        )
        if done.returncode:
            lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no word"]
            said = printable(lines[-1][:_MOST_SAID])
            raise RunError(
                f"{out}: {_RUNTIME[form]} cannot use it: {said} (status {done.returncode}); "
                "nothing was written"
            )
        with np.load(made) as arrays:
            return [arrays[str(size)] for size in BATCHES]


def _environment(has_own: bool) -> dict[str, str]:
    """Return that of the process: where hpcgan and a user's own networks are, and what computes."""
    import tensorflow as tf

    here = str(Path.cwd()) if has_own else ""  # where the networks of one's own were found
    places = [str(Path(hpcgan.__file__).parents[1]), here, os.environ.get("PYTHONPATH")]
    threads = tf.config.threading.get_intra_op_parallelism_threads()
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, places)),
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_NUM_INTRAOP_THREADS": str(threads),
    }


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference; infinite for other shapes, and where one is no number."""
    if (found.shape, found.dtype) != (expected.shape, expected.dtype):
        return float("inf")
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0.0, np.abs(found.astype(np.float64) - expected))
    return float(np.nan_to_num(apart, nan=np.inf).max())


def _range(samples: np.ndarray) -> float:
    """Return the range of the finite samples; 0 without any."""
    finite = samples[np.isfinite(samples)].astype(np.float64)
    return float(np.ptp(finite)) if finite.size else 0.0
