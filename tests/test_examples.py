"""The configurations in examples train as they are, by the commands in their first lines."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest
from launching import run

from hpcgan.config_file import load

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


def commands(example: Path) -> list[str]:
    """Return the commands in the head comment of an example."""
    return re.findall(r"^#     (.*)$", example.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_trains_as_it_is(tmp_path: Path, example: Path) -> None:
    data, train, generate = commands(example)
    python = functools.partial(run, tmp_path)
    made = python("-m", "data_tools", *data.removeprefix("hpcgan-data ").split())
    assert made.returncode == 0, made.stderr
    assert train == f"mpirun -np 2 hpcgan train examples/{example.name}"
    done = python("-m", "hpcgan", "train", example, "--train.steps=3", ranks=2)
    assert done.returncode == 0, done.stderr
    config = load(example)
    assert (tmp_path / "runs" / config.name / "checkpoints" / "step_00000003.h5").exists()
    assert f" runs/{config.name}/checkpoints/step_{config.train.steps:08d}.h5 " in generate


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 2
