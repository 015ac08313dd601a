"""What the tests under Slurm share: the cluster, which is as it was before each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import runs
from testbed import Cluster, NotPossibleError


@pytest.fixture(scope="session")
def _testbed() -> Iterator[Cluster]:
    try:
        cluster = Cluster(nodes=3)
    except NotPossibleError as error:
        pytest.skip(str(error))
    yield cluster
    cluster.close()


@pytest.fixture
def cluster(_testbed: Cluster) -> Iterator[Cluster]:
    """Return a Slurm cluster: login, and node1 .. node3 with 2 cores each."""
    yield _testbed
    _testbed.restore()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a directory with config.yaml, data.h5 (40 samples) and logs/."""
    return runs.write_files(tmp_path)
