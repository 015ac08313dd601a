"""One run at a time in a directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hpcgan.errors import RunError
from hpcgan.training import lock
from hpcgan.training.lock import only_run
from hpcgan.world import World


def test_a_second_run_in_a_directory_is_refused_and_one_after_it_is_not(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_PATIENCE", 0.3)
    run = tmp_path / "new" / "run"
    with only_run(world, run):
        second = only_run(world, run)
        with pytest.raises(RunError, match=f"another run \\(process {os.getpid()} on ") as caught:
            second.__enter__()
        assert caught.value.agreed
        with only_run(world, tmp_path / "other"):
            pass
    with only_run(world, run):
        pass
