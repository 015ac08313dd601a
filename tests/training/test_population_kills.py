"""A population that ends at any point of a tournament comes to the same end when it goes on."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pytest

from hpcgan import checkpoint, population_commit
from hpcgan.training import plan, population
from hpcgan.training.stop import Request
from hpcgan.world import World


class Killed(BaseException):
    """Nothing that is there for errors takes it for one."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where a configuration is, with its data."""
    place = tmp_path_factory.mktemp("population")
    with h5py.File(place / "data.h5", "w") as file:
        file["images"] = np.random.default_rng(3).integers(0, 256, (60, 8, 8, 1), np.uint8)
    (place / "config.yaml").write_text(
        f"data: {{files: [{place / 'data.h5'}]}}\n"
        "model: {latent_dim: 4}\ntrain: {steps: 12, batch_size: 5}\n"
        "checkpoint: {every_steps: 3, keep: 1}\nlog: {every_steps: 6}\n"
        "evaluate: {every_steps: null}\nparallel: {population: 3}\n"
        "population: {vary: {optimizer.generator.learning_rate: [0.01, 0.001, 0.0001]}}\n"
        "tournament: {every: 4, samples: 16, take: both}\n"
    )
    return place


def train(world: World, place: Path, run: str) -> None:
    """Train, or go on."""
    config, run_dir = plan.configure(world, str(place / "config.yaml"), [], place / run)
    with pytest.MonkeyPatch.context() as patch:
        # Other tests have begun to use it, and it takes no settings any more.
        patch.setattr(population, "prepare_tensorflow", lambda world: None)
        population.train(world, config, run_dir, "auto", False, Request(None, {}))


def content(run_dir: Path) -> dict[str, object]:
    """Return the last checkpoints' variables, and the tournaments."""
    found: dict[str, object] = {"lines": (run_dir / "tournaments.jsonl").read_text()}
    for path in sorted(run_dir.glob("member_*/checkpoints/step_00000012.h5")):
        for group, named in checkpoint.read(path).groups.items():
            for name, array in named.items():
                found[f"{path.parent.parent.name}/{group}/{name}"] = array.tobytes()
    return found


@pytest.fixture(scope="module")
def expected(world: World, place: Path) -> dict[str, object]:
    """Return what is there in the end if nothing is killed."""
    train(world, place, "whole")
    return content(place / "whole")


@pytest.mark.parametrize(
    ("module", "name", "calls"),
    [
        (checkpoint, "write", 8),  # of a member's state of after the first tournament
        (checkpoint, "write", 14),  # the same, of the second
        (population, "write_whole", 2),  # all are written, and not the second's line
        (population_commit, "write", 3),  # the line is, too, and not the commit
    ],
)
def test_the_end_is_the_same(
    world: World,
    place: Path,
    expected: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    name: str,
    calls: int,
) -> None:
    function, left = getattr(module, name), calls

    def killed(*words: object, **named: object) -> object:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed
        return function(*words, **named)

    run = f"{module.__name__}_{calls}"
    with monkeypatch.context() as patch:
        patch.setattr("fcntl.flock", no_locks)  # nobody lets go of what this process holds
        patch.setattr(module, name, killed)
        with pytest.raises(Killed):
            train(world, place, run)
    steps = {found.step for found in map(newest, range(3), [place / run] * 3)}
    assert steps <= {3, 4, 6, 8}
    train(world, place, run)
    assert content(place / run) == expected


def no_locks(descriptor: int, operation: int) -> None:
    """Be a file system without locks."""
    raise OSError


def newest(member: int, run_dir: Path) -> checkpoint.Checkpoint:
    """Return the newest checkpoint of a member."""
    found, _ = checkpoint.newest(run_dir / f"member_{member}" / "checkpoints")
    assert found
    return found
