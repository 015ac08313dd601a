"""Checkpoints that the tests of this package share."""

from __future__ import annotations

from pathlib import Path

import pytest
from generation.made import CLASSES, ENERGIES, NAMED, SHOWERS, write_checkpoint


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkpoint of networks without labels, of samples (8, 8, 1) uint8."""
    return write_checkpoint(tmp_path_factory.mktemp("plain") / "c.h5")


@pytest.fixture(scope="session")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one of four classes, of which dog had no samples."""
    return write_checkpoint(tmp_path_factory.mktemp("classes") / "c.h5", CLASSES, NAMED)


@pytest.fixture(scope="session")
def showers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one of showers (8, 8, 8, 1) float32 with energies from 10 to 500, stored by 0.01."""
    path = tmp_path_factory.mktemp("showers") / "c.h5"
    return write_checkpoint(path, SHOWERS, ENERGIES, (8, 8, 8, 1))
