"""Runs of one config file in one run directory, planned on one rank."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from hpcgan.checkpoint import GROUPS, Checkpoint, path_of, write
from hpcgan.config import Config
from hpcgan.config_file import load
from hpcgan.errors import UserError
from hpcgan.training.directory import held
from hpcgan.training.plan import Plan, configure, prepare
from hpcgan.world import World


class Runs:
    """Plans of one config file and run directory, on one rank."""

    def __init__(self, world: World, data: Path) -> None:
        self.world = world
        self.data = data
        self.config = data.with_name("run.yaml")
        self.directory = data.with_name("run")
        self.config.write_text(
            f"name: small\ndata: {{files: [{data}]}}\ntrain: {{steps: 10, batch_size: 4}}\n"
        )

    def plan(self, *overrides: str, resume: str = "auto", allow: bool = False) -> Plan:
        return prepare(self.world, str(self.config), list(overrides), self.directory, resume, allow)

    @contextmanager
    def held(
        self, *overrides: str, resume: str = "auto", environment: Mapping[str, str] | None = None
    ) -> Iterator[Plan]:
        """Hold the run directory, as a start does."""
        config, run_dir = configure(self.world, str(self.config), list(overrides), self.directory)
        with held(self.world, config, run_dir, resume, False, environment or {}) as plan:
            yield plan

    def refusal(self, kind: type[UserError], *overrides: str, resume: str = "auto") -> str:
        """Return what is said of a run that cannot start; check that it is one line."""
        with pytest.raises(kind) as caught, self.held(*overrides, resume=resume):
            pass
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def save(
        self,
        step: int,
        *overrides: str,
        shards: int = 1,
        data: str = "40 samples",
        fingerprints: tuple[str, ...] = (),
        directory: Path | None = None,
    ) -> Path:
        """Write a checkpoint of this run, and of ``data``, and return its path."""
        decided = [f"--data.shards={shards}", "--data.shuffle=samples", "--data.align=false"]
        config: Config = load(self.config, [*decided, *overrides])
        path = path_of((directory or self.directory) / "checkpoints", step)
        path.parent.parent.mkdir(exist_ok=True)
        groups = {group: {"x": np.array([step])} for group in GROUPS}
        shape = (8, 8, 1)
        write(
            Checkpoint(
                path, step, step * 4, config, shape, "uint8", data, 0, 0, groups, fingerprints
            )
        )
        return path

    def names(self) -> list[str]:
        """Return the names of the checkpoints."""
        return sorted(path.name for path in (self.directory / "checkpoints").iterdir())
