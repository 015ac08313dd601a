"""Features by a network of one's own, in a file that Keras saved (``FILE.keras``).

A file may come from anybody, and Keras's safe mode alone has let code run, files be read and
others be fetched (CVE-2025-1550, -8747, -12058, -12060). So before Keras opens a file, it is looked
through here: it may name layers of a list, none of which runs code or opens files, and what these
are made of, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from hpcgan import hdf5_limits
from hpcgan.data import checks
from hpcgan.errors import ConfigError, DataError
from hpcgan.evaluation.features import in_batches
from hpcgan.files import check_is_file
from hpcgan.hdf5 import Hdf5Error, call

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

MOST_DIMENSIONS = 4096
_BATCH = 32
_MOST_GROUPS = 10_000  # of the weights
_MOST_CONFIG = 2**24  # bytes
_MOST_WEIGHTS = 2**32
_MEMBERS = {"metadata.json": _MOST_CONFIG, "config.json": _MOST_CONFIG}
_MEMBERS |= {"model.weights.h5": _MOST_WEIGHTS}

# Layers whose names have # where they say of how many dimensions they are, and others.
_IN_DIMENSIONS = """
    Conv#D Conv#DTranspose SeparableConv#D DepthwiseConv#D MaxPooling#D AveragePooling#D
    GlobalMaxPooling#D GlobalAveragePooling#D Cropping#D ZeroPadding#D UpSampling#D
    SpatialDropout#D
"""
_OTHERS = """
    InputLayer Dense EinsumDense Activation ReLU LeakyReLU PReLU ELU Softmax BatchNormalization
    LayerNormalization GroupNormalization UnitNormalization Normalization Rescaling Flatten Reshape
    Permute RepeatVector Identity Add Subtract Multiply Average Maximum Minimum Concatenate Dot
    Dropout GaussianNoise GaussianDropout ActivityRegularization MultiHeadAttention
"""
LAYERS = {name.replace("#", n) for name in _IN_DIMENSIONS.split() for n in "123"}
LAYERS |= set(_OTHERS.split())
# Modules as a file names them, and what it may take from each; None for all classes.
_ALLOWED: dict[str, set[str] | None] = {
    "keras.layers": LAYERS,
    "keras": {"Sequential", "Model", "DTypePolicy"},
    "keras.models": {"Sequential", "Model", "Functional"},
    "keras.src.models.functional": {"Functional"},
    "keras.src.models.sequential": {"Sequential"},
    "keras.dtype_policies": {"DTypePolicy"},
    "keras.initializers": None,
    "keras.regularizers": None,
    "keras.constraints": None,
}


def check(path: Path) -> None:
    """Refuse a file that could do more than compute; Keras does not see it.

    Raises:
        ConfigError: it is missing, damaged, or names anything but allowed layers.
    """
    check_is_file(path, "Keras file", ConfigError)
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.file_size > _MEMBERS.get(member.filename, -1):
                    raise ConfigError(
                        f"{path}: holds {member.filename} of {member.file_size} bytes, which is no "
                        "part of a network, or too much; save it again (model.save)"
                    )
            found = json.loads(archive.read("config.json"))
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise ConfigError(f"{path}: damaged, or not saved by Keras: {error}") from None
    except (KeyError, ValueError, RecursionError):
        raise ConfigError(f"{path}: damaged, or not saved by Keras: no config.json") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: damaged, or not saved by Keras: config.json is no object")
    found.pop("compile_config", None)  # of a training, which is not loaded
    for each in _objects(found):
        _check_object(path, each)
    _check_weights(path)


def _check_weights(path: Path) -> None:
    """Refuse weights that HDF5 cannot read, or would take from other files.

    The process that damage may kill reads them once, before Keras does in this one.
    """
    try:
        with tempfile.NamedTemporaryFile(suffix=".h5") as copy, zipfile.ZipFile(path) as archive:
            with archive.open("model.weights.h5") as weights:
                shutil.copyfileobj(weights, copy)
            copy.flush()
            call(read_weights, copy.name)
    except (KeyError, OSError, zipfile.BadZipFile, zlib.error, Hdf5Error, DataError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: its weights are damaged: {reason}") from None


@hdf5_limits.served
def read_weights(file: str) -> Iterator[Any]:
    """Read all datasets of a file; yield nothing of them."""
    with h5py.File(file, "r", locking=False) as opened:
        groups: list[h5py.Group] = [opened]
        for group in groups:
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError("a link")
                item = group[name]
                if isinstance(item, h5py.Group) and len(groups) < _MOST_GROUPS:
                    groups.append(item)
                elif isinstance(item, h5py.Dataset) and not (item.external or item.is_virtual):
                    checks.check_claim(item, file)
                    hdf5_limits.allow(checks.array_bytes(item))
                    item[()]
                else:
                    raise ValueError("what is no array of its own")
        yield True


def _objects(found: Any) -> Iterator[dict[str, Any]]:
    """Yield all objects of a file's description, those inside others too."""
    rest = [found]
    while rest:
        each = rest.pop()
        if isinstance(each, dict):
            rest += each.values()
            if "class_name" in each:
                yield each
        elif isinstance(each, list):
            rest += each


def _check_object(path: Path, described: dict[str, Any]) -> None:
    """Refuse an object that is not on the list."""
    name, module = described["class_name"], described.get("module")
    if name == "__keras_tensor__":
        return
    names = _ALLOWED.get(module, set()) if isinstance(module, str) else set()
    is_class = isinstance(name, str) and name[:1].isupper()
    registered = described.get("registered_name")
    if is_class and (names is None or name in names) and registered in (None, name):
        return
    what = f"{module}.{name}" if isinstance(module, str) else str(name)
    raise ConfigError(
        f"{path}: has a {_short(what)} ({_short(str(registered))}), and only layers of Keras that "
        "run no code are loaded; docs/evaluation.md lists them"
    )


def _short(text: str) -> str:
    """Return text of a file as it may be printed."""
    return ascii(text[:60])[1:-1]


class KerasFeatures:
    """An ``Extractor``: what the network of a file gives."""

    name = "keras"

    def __init__(
        self,
        path: Path,
        sample_shape: tuple[int, ...],
        dtype: str,
        input_range: tuple[float, float],
    ) -> None:
        """Load the network of a file that ``check`` has let through.

        Args:
            path: the file.
            sample_shape: of the data.
            dtype: "uint8" or "float32", of the data.
            input_range: what the network takes -1 and 1, or 0 and 255 of uint8, as.

        Raises:
            ConfigError: it cannot be loaded, takes no such samples, or does not give (batch, d).
        """
        import tensorflow as tf

        check(path)
        low, high = input_range
        network = _loaded(path)

        @tf.function
        def features(samples: tf.Tensor) -> tf.Tensor:
            values = tf.cast(samples, tf.float32)
            fraction = values / 255 if dtype == "uint8" else (values + 1) / 2
            return network(low + (high - low) * fraction, training=False)

        self._features = features
        self.dimension = _dimension(path, network, features, sample_shape, dtype)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self.identity = f"keras {digest} {low} {high}"

    def features(self, images: np.ndarray) -> np.ndarray:
        """Return the features, (n, d) float64, of samples (n, *sample_shape)."""
        return in_batches(self._features, images, _BATCH, self.dimension)


def _loaded(path: Path) -> keras.Model:
    """Return the network of a file; whatever Keras raises is a ``ConfigError``."""
    import keras

    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise ConfigError(f"{path}: Keras does not load it: {_reason(error)}") from None


def _dimension(
    path: Path, network: keras.Model, features: Any, sample_shape: tuple[int, ...], dtype: str
) -> int:
    """Return d; refuse a network of other samples or outputs."""
    takes = [tuple(each.shape[1:]) for each in network.inputs or ()]
    fits = len(takes) == 1 and len(takes[0]) == len(sample_shape)
    if not fits or any(a not in (None, b) for a, b in zip(takes[0], sample_shape, strict=True)):
        raise ConfigError(
            f"{path}: takes {', '.join(map(str, takes))}, and the samples have shape {sample_shape}"
        )
    if len(network.outputs) != 1:
        raise ConfigError(f"{path}: gives {len(network.outputs)} outputs; features are one")
    try:
        shape = features(np.zeros((_BATCH, *sample_shape), dtype)).shape
    except Exception as error:
        raise ConfigError(f"{path}: does not take the samples: {_reason(error)}") from None
    if len(shape) != 2 or shape[0] != _BATCH or not 1 <= shape[1] <= MOST_DIMENSIONS:
        raise ConfigError(
            f"{path}: gives {tuple(shape)} for {_BATCH} samples; features are (batch, d) with d "
            f"from 1 to {MOST_DIMENSIONS}"
        )
    return int(shape[1])


def _reason(error: Exception) -> str:
    """Return what an error says, on one line."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {_short(lines[0])}"
