"""A generator that another program loads makes what the command writes."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import hpcgan
from hpcgan.blocks import BLOCK
from hpcgan.errors import CheckpointError, ConfigError
from hpcgan.generate import generate
from hpcgan.generation.form import Output
from hpcgan.generation.sampler import Wanted
from hpcgan.world import World

COUNT = BLOCK + 5

pytestmark = pytest.mark.filterwarnings("ignore:TensorFlow has begun:UserWarning")


@pytest.mark.parametrize(
    ("name", "label"), [("plain", None), ("classes", None), ("classes", "emu"), ("showers", 99.5)]
)
def test_it_makes_the_same_bits_as_the_command(
    world: World,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    name: str,
    label: str | float | None,
) -> None:
    path = request.getfixturevalue(name)
    wanted = Wanted(COUNT, 7, None if label is None else str(label))
    generate(world, path, wanted, Output(tmp_path / "a.h5"))
    made = hpcgan.load_generator(path).sample(COUNT, seed=7, label=label)
    with h5py.File(tmp_path / "a.h5") as file:
        if name == "plain":
            assert isinstance(made, np.ndarray)
            assert np.array_equal(made, file["images"])
            assert made.dtype == np.uint8
        else:
            assert np.array_equal(made[0], file["images"])
            assert np.array_equal(made[1], file["labels"])


def test_it_is_loaded_without_mpi(python, plain: Path) -> None:
    done = python(
        "-c",
        "import sys; sys.modules['mpi4py'] = sys.modules['horovod'] = None; import hpcgan; "
        f"print(hpcgan.load_generator({str(plain)!r}).sample(3).shape)",
    )
    assert done.stdout == "(3, 8, 8, 1)\n", done.stderr


def test_what_is_wrong_is_said(plain: Path, classes: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"there is no whole checkpoint"):
        hpcgan.load_generator(tmp_path)
    with pytest.raises(ConfigError, match=r"count 0, seed 0: count is at least 1"):
        hpcgan.load_generator(plain).sample(0)
    with pytest.raises(ConfigError, match=r"c\.h5 are 0 to 3"):
        hpcgan.load_generator(classes).sample(1, label=4)
