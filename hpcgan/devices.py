"""TensorFlow on this rank's share of the machine: its cores, or one GPU."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hpcgan import packages
from hpcgan.errors import RunError

# Keras imports them if it finds them, for wrappers that nothing here uses: that would be two
# fifths of all that a rank computes until TensorFlow and Keras are there.
_UNUSED = ("sklearn", "matplotlib", "pandas")


class Place(Protocol):
    """Where a rank is, as its ``World`` knows it.

    Attributes:
        node_rank: its number among the ranks of its node.
        cores: processor cores that it can count on.
    """

    node_rank: int
    cores: int


@dataclass
class Alone:
    """The place of a process that is no rank: all cores that it may use are its own."""

    node_rank: int = 0
    cores: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))


def prepare_tensorflow(place: Place) -> None:
    """Give TensorFlow this rank's cores and its GPU, if the node has any.

    To be called before anything else uses TensorFlow or Keras; it takes seconds, most of them the
    import. A second call changes nothing. What the user has set for Keras has no effect: neither
    KERAS_BACKEND nor ~/.keras/keras.json may change what a run computes.

    Raises:
        RunError: one of them cannot be imported; on this rank alone, or on others too.
    """
    _import()
    import tensorflow as tf

    _take_gpu(place.node_rank)
    tf.config.threading.set_intra_op_parallelism_threads(place.cores)
    # One step after the other leaves little to run side by side; more threads take turns.
    tf.config.threading.set_inter_op_parallelism_threads(1 if place.cores == 1 else 2)


def prepare_for_blocks(place: Place) -> bool:
    """Prepare TensorFlow for samples that are the same bits on any number of cores.

    Matrix products and convolutions are rounded differently on another number of threads. So each
    has one thread, and blocks of samples are computed side by side.

    Returns:
        Whether it is so: not if TensorFlow has begun with several threads for an operation.

    Raises:
        RunError: TensorFlow or Keras cannot be imported.
    """
    _import()
    import tensorflow as tf

    try:
        _take_gpu(place.node_rank)
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(place.cores)
    except RuntimeError:  # it has begun
        return tf.config.threading.get_intra_op_parallelism_threads() == 1
    return True


def _import() -> None:
    """Import TensorFlow and Keras with the settings that all of hpcgan needs.

    Raises:
        RunError: one of them cannot be imported.
    """
    if sys.flags.optimize > 1:
        raise RunError(
            "Python leaves out docstrings (PYTHONOPTIMIZE is 2, or -OO), without which TensorFlow "
            "cannot be imported: unset PYTHONOPTIMIZE"
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with silent_stderr(), _hidden(*_UNUSED):
        for name in ("tensorflow", "keras"):
            wrong = packages.problem(name)
            if wrong:
                raise RunError(f"{name} {wrong}; try python -c 'import {name}'")
    import keras
    import tensorflow as tf

    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    keras.config.set_dtype_policy("float32")
    # It cannot fuse a convolution with a leaky ReLU inside a loop, and logs that as an error.
    tf.config.optimizer.set_experimental_options({"remapping": False})


def _take_gpu(node_rank: int) -> None:
    """Choose a GPU for this process, if the node has any."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        # A launcher may show each rank all GPUs of the node, or its own alone.
        gpu = gpus[node_rank % len(gpus)]
        tf.config.set_visible_devices(gpu, "GPU")
        tf.config.experimental.set_memory_growth(gpu, True)


@contextlib.contextmanager
def silent_stderr() -> Iterator[None]:
    """Drop what is written to stderr inside.

    On import, TensorFlow's C++ side logs lines about CUDA that no setting turns off, on every
    rank, whether there is a GPU or not.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


@contextlib.contextmanager
def _hidden(*names: str) -> Iterator[None]:
    """Have packages seem missing inside, but for those that are imported already."""
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # Python's sign for it
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
