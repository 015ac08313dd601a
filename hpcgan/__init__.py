"""hpcgan trains GANs in parallel on HDF5 data; ``hpcgan.cli`` lists the commands."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpcgan.generation.loading import Generator

__version__ = "0.1.0"
__all__ = ["__version__", "load_generator"]


def load_generator(path: str | os.PathLike[str], trust_networks: bool = False) -> Generator:
    """Load a trained generator, whose ``sample`` gives NumPy arrays; needs no MPI.

    Args:
        path: a checkpoint, or a run directory, of which the newest whole one is taken.
        trust_networks: whether the functions that a checkpoint names for its networks may be run.

    Raises:
        CheckpointError: there is no whole checkpoint.
        ConfigError: it names functions that may not be run.
    """
    from hpcgan.generation.loading import Generator

    return Generator(path, trust_networks)
