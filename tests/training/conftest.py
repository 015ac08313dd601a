"""What tests of the training share."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hpcgan import checkpoint
from hpcgan.gan.state import State
from hpcgan.training.plan import Plan, prepare
from hpcgan.world import World
from tests.training.saved import LAST, Saved


@pytest.fixture
def prepared(world: World, data_file: Path, tmp_path: Path) -> Callable[..., Plan]:
    """Return a function that plans a run in tmp_path/run with keys of the checkpoint section."""

    def make(**keys: object) -> Plan:
        config = tmp_path / "run.yaml"
        config.write_text(
            f"data: {{files: [{data_file}], shards: 1}}\nmodel: {{latent_dim: 2}}\n"
            f"train: {{steps: {LAST}, batch_size: 4}}\n"
        )
        (tmp_path / "run").mkdir()
        words = [f"--checkpoint.{key}={value}" for key, value in keys.items()]
        return prepare(world, str(config), words, tmp_path / "run", "auto")

    return make


@pytest.fixture
def make_saved(
    prepared: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Saved]:
    """Return a function that makes a ``Saved``, by keys of the checkpoint section."""

    def make(**keys: object) -> Saved:
        state = SimpleNamespace(step=0, rollbacks=0, discarded=0, values={}, round=0)
        writings: list[Future[None]] = []

        class Thread(ThreadPoolExecutor):
            def submit(self, *words: Any) -> Any:  # type: ignore[override]
                writings.append(super().submit(*words))
                return writings[-1]

        monkeypatch.setattr("hpcgan.training.checkpoint_manager.ThreadPoolExecutor", Thread)
        saved = Saved(prepared(**keys), state, writings)
        state.arrays = saved.arrays
        monkeypatch.setattr(checkpoint, "write", saved.write)
        return saved

    return make


@pytest.fixture
def plan(world: World, data_file: Path, tmp_path: Path) -> Plan:
    """Return the plan of a run in tmp_path/run that uses 12 images per step."""
    config = tmp_path / "run.yaml"
    config.write_text(
        f"name: small\ndata: {{files: [{data_file}], shards: 3}}\n"
        "model: {name: mlp, latent_dim: 2}\ntrain: {steps: 10, batch_size: 4}\n"
    )
    return prepare(world, str(config), [], tmp_path / "run", "auto")


@pytest.fixture
def state(plan: Plan) -> State:
    """Return its networks."""
    return State(plan.config, plan.source.sample_shape)
