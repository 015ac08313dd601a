"""What all ranks decide together before a run."""

from __future__ import annotations

import json

import pytest

from hpcgan.errors import ConfigError
from hpcgan.training import plan
from tests.mpi.small_runs import write_config


def test_null_shards_are_one_per_rank_and_stay_so(world, shared_path):
    config = write_config(world, shared_path)
    content = json.loads((shared_path / "config.yaml").read_text())
    world.barrier()
    content["data"]["shards"] = None
    world.on_root(lambda: (shared_path / "config.yaml").write_text(json.dumps(content)))
    run = plan.prepare(world, config, [], shared_path / "run", "auto")
    assert run.config.data.shards == world.size
    assert run.assignment.hosted == range(world.rank, world.rank + 1)


def test_more_ranks_than_shards_are_refused(world, shared_path):
    config = write_config(world, shared_path)
    if world.size == 1:
        run = plan.prepare(world, config, ["--data.shards", "1"], shared_path / "run", "auto")
        assert run.assignment.hosted == range(1)
        return
    with pytest.raises(ConfigError, match=f"data.shards is 1, but there are {world.size} ranks"):
        plan.prepare(world, config, ["--data.shards", "1"], shared_path / "run", "auto")
