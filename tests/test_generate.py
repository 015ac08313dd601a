"""Whose code makes samples: that of a checkpoint runs only with leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcgan.checkpoint import Checkpoint
from hpcgan.config import Config, DataConfig, ModelConfig
from hpcgan.errors import ConfigError
from hpcgan.generate import Wanted, sample
from hpcgan.world import World


@pytest.mark.parametrize("key", ["generator", "discriminator"])
def test_either_network_of_a_checkpoint_may_name_code_and_none_is_run(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("trap.py").write_text("open('sprung', 'w')\n")
    model = ModelConfig(**{key: "trap:network"})
    config = Config(data=DataConfig(files=["x"], shards=1), model=model)
    found = Checkpoint(Path("c.h5"), 1, 1, config, (8, 8, 1), "uint8", "40 samples", 0, 0, {})
    with pytest.raises(ConfigError, match=r"^c\.h5: its networks are built by trap:network; if"):
        sample(world, found, Wanted(1))
    assert not Path("sprung").exists()
