"""What tests of several packages share: the ranks (pytest is one of them), a small data file,
and programs run as their users do, alone or under mpirun."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

# Read when TensorFlow and Keras are imported, so before any test module is.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["KERAS_BACKEND"] = "tensorflow"

import h5py
import launching
import numpy as np
import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from hpcgan.world import World

Run = Callable[..., subprocess.CompletedProcess[str]]

# How long an example takes depends on what else the machine does.
settings.register_profile("hpcgan", deadline=None)
settings.load_profile("hpcgan")


# Files whose tests take longest, which workers begin with, so that none is left alone with them.
_LONGEST = ("test_chaos.py", "test_restart.py", "test_study.py", "test_hosted_shards.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest tests first, all else as it was."""
    items.sort(key=lambda item: item.path.name not in _LONGEST)


@pytest.fixture(scope="session")
def world() -> World:
    """Return the ranks: one alone, or those of mpirun. A process can make them once."""
    from hpcgan.world import World

    before = sys.excepthook, threading.excepthook
    made = World()
    sys.excepthook, threading.excepthook = before
    return made


@pytest.fixture(autouse=True)
def hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave it to pytest to report what fails: ranks that are made would end all."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure no noise of gradients: of shards that go together it has a branch to compile."""
    monkeypatch.setattr("hpcgan.gan.noise_scale.is_measured", lambda *_: False)


@pytest.fixture
def data_file(tmp_path: Path) -> Path:
    """Return an HDF5 file with ``images``, 40 different random samples, (40, 8, 8, 1) uint8."""
    path = tmp_path / "data.h5"
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), np.uint8)
    with h5py.File(path, "w") as file:
        file["images"] = images
    return path


@pytest.fixture
def python(tmp_path: Path) -> Run:
    """Return a function that runs ``python WORDS`` in tmp_path on a number of ranks."""

    return functools.partial(launching.run, tmp_path)


@pytest.fixture(scope="session")
def fashion_mnist() -> Path:
    """Return the folder of the four IDX files of Fashion-MNIST, gzipped: 70,000 real pictures."""
    place = Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))
    if not place.is_dir():
        pytest.skip(
            "Debian's package dataset-fashion-mnist is not installed; without root: apt-get "
            "download it, dpkg -x it to DIR, FASHION_MNIST=DIR/usr/share/datasets/fashion-mnist"
        )
    return place


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    """Return where a test writes a configuration."""
    return tmp_path / "run.yaml"
