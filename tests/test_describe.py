"""What ``hpcgan inspect`` prints of a checkpoint: figures counted by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hpcgan import population_commit
from hpcgan.checkpoint import Checkpoint, write
from hpcgan.config import Config, DataConfig, ModelConfig
from hpcgan.data.sample_info import SampleInfo
from hpcgan.describe import describe
from hpcgan.errors import CheckpointError, ConfigError

GROUPS = {
    "generator": {"dense/kernel": np.zeros((3, 4)), "dense/bias": np.zeros(4), "odd": np.zeros(2)},
    "generator_ema": {"a/query/kernel": np.zeros((2, 5))},
    "generator_optimizer": {"iteration": np.zeros((), np.int64), "m": np.zeros((3, 4))},
    "discriminator": {},
    "discriminator_1": {"logit/kernel": np.zeros(7)},
    "discriminator_optimizer": {},
    "generator_versions": {"versions": np.zeros((2, 6))},
}
CLASSES = ModelConfig(name="dcgan", condition="projection", classes=3)


def written(path: Path, model: ModelConfig, **others) -> list[str]:
    """Return the lines about a checkpoint that is written to ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    config = Config(data=DataConfig(files=["a.h5", "b.h5"], shards=1, labels="y"), model=model)
    fields = (path, 7, 70, config, (8, 8, 1), "uint8", "40 samples", 2, 5, GROUPS, ())
    write(Checkpoint(*fields, **others))
    return describe(path).splitlines()


def test_what_a_checkpoint_holds(tmp_path: Path) -> None:
    samples = SampleInfo("minmax:0,40", ("cat", "d\x1bog"), (30, 0, 10))
    values = {"optimizer.generator.learning_rate": 0.5}
    path = tmp_path / "checkpoints" / "step_00000007.h5"
    others = {"samples": samples, "ranks": 3, "values": values, "round": 4}
    head, *lines = written(path, CLASSES, **others)
    assert head == f"{path}: {path.stat().st_size} bytes, whole (its content fits its checksum)"
    by = lines.pop(1)
    assert by.startswith("  written by h5py ")
    assert by.endswith(f"numpy {np.__version__} on 3 ranks")
    assert lines == [
        "  step 7, 70 images",
        "  data: 40 samples (8, 8, 1) uint8 in a.h5, b.h5",
        "    mapped from the units of their source by minmax:0,40",
        "  labels: 3 classes (0 (cat): 30, 1 (d\\x1bog): 0, 2: 10)",
        "  optimizer.generator.learning_rate: 0.5 by now",
        "  rolled back 2 times, 5 updates lost",
        "  after 4 tournaments",
        f"  evaluation: none at this step in {tmp_path / 'metrics.jsonl'}",
        "  discriminator: dcgan, 0 parameters",
        "  discriminator_1: dcgan, 7 parameters",
        "    logit: 7 (kernel (7,))",
        "  discriminator_optimizer: adam, learning rate 0.0002, 0 variables, 0 numbers",
        "  generator: dcgan, 18 parameters",
        "    dense: 16 (bias (4,), kernel (3, 4))",
        "    (of no layer): 2 (odd (2,))",
        "  generator_ema: dcgan, the moving average of generator, 10 parameters",
        "    a/query: 10 (kernel (2, 5))",
        "  generator_optimizer: adam, learning rate 0.0002, 2 variables, 13 numbers",
        "  generator_versions: 1 variables, 12 numbers",
    ]


def test_the_last_evaluation_at_its_step_and_real_labels(tmp_path: Path) -> None:
    lines = [(6, {"a": 1.0}), (7, {"a": 2.0}), (7, {"a": 3.14159265, "b": None}), (8, {"a": 4.0})]
    text = "".join(json.dumps({"step": s, "evaluation": e}) + "\n" for s, e in lines)
    (tmp_path / "metrics.jsonl").write_text(text + '{"step": 7, "loss": 1}\n')
    model = ModelConfig(name="volume", condition="regression", label_range=[1, 500, -1, 1])
    lines = written(tmp_path / "checkpoints" / "best.h5", model)
    assert f"  evaluation ({tmp_path / 'metrics.jsonl'}): a 3.1416, b None" in lines
    assert "  labels: 2 real values, 1 to 500, -1 to 1" in lines


def test_a_run_stands_for_its_newest_whole_checkpoint(tmp_path: Path) -> None:
    first = tmp_path / "checkpoints" / "step_00000007.h5"
    written(first, CLASSES)
    damaged = first.with_name("step_00000008.h5")
    damaged.write_bytes(first.read_bytes()[:-100])
    assert describe(tmp_path) == describe(first)
    first.unlink()
    with pytest.raises(CheckpointError, match="there is no whole checkpoint"):
        describe(tmp_path)


def test_a_population_has_several(tmp_path: Path) -> None:
    config = Config(data=DataConfig(files=["x"]))
    population_commit.write(tmp_path, population_commit.Commit(config))
    with pytest.raises(ConfigError, match=r"is a population's; name a member, .*member_0 say"):
        describe(tmp_path)


def test_a_damaged_one_is_told(tmp_path: Path) -> None:
    path = tmp_path / "c.h5"
    written(path, CLASSES)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"c\.h5: damaged: its content does not fit its che"):
        describe(path)
