"""Tests that run whole on every rank: ``mpirun -n N python -m pytest tests/mpi``, N from 1.

All ranks collect the same tests and walk through them together; rank 0 reports. A rank on which
a test fails prints why and ends the others at once: they may wait for it in a collective.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpcgan.all_reduce import AllReduce
from hpcgan.devices import prepare_tensorflow
from hpcgan.group import Group
from hpcgan.ring import Ring
from hpcgan.world import World
from tests.mpi.small_runs import SmallRun, train, write_config

_WORLD = World()
prepare_tensorflow(_WORLD)  # before the tests import it

# This rank's group of each split that tests use: Horovod starts once, with all of them.
_GROUPS = {
    "even and odd": _WORLD.split(_WORLD.rank % 2),
    "first and rest": _WORLD.split(min(_WORLD.rank, 1)),
    "rest and last": _WORLD.split(int(_WORLD.rank == _WORLD.size - 1)),
    "halves": _WORLD.split(2 * _WORLD.rank // _WORLD.size),
}


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Silence all ranks but the first, whose stderr stays for what goes wrong."""
    if not _WORLD.is_root:
        config.pluginmanager.unregister(name="terminalreporter")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """End all ranks where one has failed, unless it is alone."""
    if report.failed and _WORLD.size > 1:
        where = f"\nrank {_WORLD.rank} of {_WORLD.size}: FAILED {report.nodeid} ({report.when})\n"
        _WORLD.abort(1, f"{where}{report.longreprtext}\n", sys.__stderr__.fileno())


@pytest.fixture(scope="session")
def world() -> World:
    """Return the ranks, with TensorFlow ready."""
    return _WORLD


@pytest.fixture(scope="session", autouse=True)
def ring(world: World) -> Ring:
    """Return the ring, with all groups of ``group``; before a run starts Horovod without them."""
    return Ring(world, list(_GROUPS.values()))


@pytest.fixture(scope="session")
def all_reduce(ring: Ring) -> AllReduce:
    """Return the sum over all ranks."""
    return ring.all_reduce()


@pytest.fixture(scope="session", params=_GROUPS.values(), ids=_GROUPS)
def group(request: pytest.FixtureRequest) -> Group:
    """Return this rank's group of a split."""
    made: Group = request.param
    return made


@pytest.fixture(scope="session")
def alone(world: World) -> Group:
    """Return the group of this rank alone."""
    return world.split(world.rank)


@pytest.fixture(scope="session")
def small_run(world: World, ring: Ring, tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    """Return a run of ten steps, with checkpoints of steps 0, 5 and 10."""
    place = Path(world.on_root(lambda: str(tmp_path_factory.mktemp("small"))))
    config = write_config(world, place)
    train(world, config, place / "run")
    world.barrier()
    return SmallRun(config, place / "run")


@pytest.fixture
def shared_path(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a directory that is the same on all ranks."""
    path = world.on_root(lambda: str(tmp_path_factory.mktemp("shared")))
    world.barrier()
    yield Path(path)
    world.barrier()
