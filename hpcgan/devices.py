"""TensorFlow on this rank's share of the machine: its cores, or one GPU."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from hpcgan.world import World


def prepare_tensorflow(world: World) -> None:
    """Give TensorFlow this rank's cores and its GPU, if the node has any.

    To be called before anything else uses TensorFlow; it takes seconds, most of them the import.
    A second call changes nothing.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with _hold_back_stderr():
        import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        # A launcher may show each rank all GPUs of the node, or its own alone.
        gpu = gpus[world.node_rank % len(gpus)]
        tf.config.set_visible_devices(gpu, "GPU")
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.threading.set_intra_op_parallelism_threads(world.cores)
    # One step after the other leaves little to run side by side; more threads take turns.
    tf.config.threading.set_inter_op_parallelism_threads(1 if world.cores == 1 else 2)
    # It cannot fuse a convolution with a leaky ReLU inside a loop, and logs that as an error.
    tf.config.optimizer.set_experimental_options({"remapping": False})


@contextlib.contextmanager
def _hold_back_stderr() -> Iterator[None]:
    """Show what is written to stderr inside only if it ends with an error.

    On import, TensorFlow's C++ side logs lines about CUDA that no setting turns off, on every
    rank, whether there is a GPU or not.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
