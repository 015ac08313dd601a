"""What a run holds in memory, and what it waits for when it ends; without training."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest

from hpcgan import checkpoint
from hpcgan.checkpoint import Checkpoint, path_of
from hpcgan.errors import RunError
from hpcgan.gan.state import State
from hpcgan.training import run
from hpcgan.training.plan import Plan, prepare
from hpcgan.training.stop import Request
from hpcgan.world import World


@pytest.fixture
def plan(world: World, data_file: Path) -> Plan:
    """Return the plan of a run that goes on from its checkpoint of step 7."""
    config, run_dir = data_file.with_name("run.yaml"), data_file.with_name("run")
    config.write_text(f"data: {{files: [{data_file}]}}\ntrain: {{steps: 10, batch_size: 4}}\n")
    new = prepare(world, str(config), [], run_dir, "auto")
    run_dir.mkdir()
    groups = State(new.config, new.source.sample_shape).arrays()
    path = path_of(new.checkpoints, 7)
    shape = new.source.sample_shape
    checkpoint.write(Checkpoint(path, 7, 28, new.config, shape, "uint8", new.data, 0, 0, groups))
    return prepare(world, str(config), [], run_dir, "auto")


def test_what_was_restored_is_not_held_by_the_run(
    world: World, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert plan.found is not None
    arrays = [
        weakref.ref(array) for named in plan.found.groups.values() for array in named.values()
    ]
    assert len(arrays) > 10

    class Run:
        def __init__(
            self, world: World, plan: Plan, compiled: run.Compiled, *rest: Any, **named: Any
        ) -> None:
            assert compiled.state.step == 7

        def fit(self, last: int) -> None:
            assert last == 10
            gc.collect()
            assert [array for array in arrays if array() is not None] == []

        def close(self) -> None:
            pass

    monkeypatch.setattr(run, "Run", Run)
    run.train(world, plan, Request(None, {}))


@pytest.mark.parametrize("on_all_ranks", [True, False])
def test_an_error_of_all_ranks_waits_for_what_is_being_written(
    world: World, plan: Plan, monkeypatch: pytest.MonkeyPatch, on_all_ranks: bool
) -> None:
    error, settled = RunError("not finite", on_all_ranks), []

    class Run:
        def __init__(self, *words: Any, **named: Any) -> None:
            pass

        def fit(self, last: int) -> None:
            raise error

        def settle(self) -> None:
            settled.append(True)

    monkeypatch.setattr(run, "Run", Run)
    with pytest.raises(RunError):
        run.train(world, plan, Request(None, {}))
    assert settled == [True] * on_all_ranks  # one of this rank ends all at once
