"""TensorFlow and Keras are the same whatever the user's surroundings say, or refused in a line."""

from __future__ import annotations

import json
from pathlib import Path

import launching
import pytest

_PREPARE = """
import json
from hpcgan import command
from hpcgan.devices import prepare_tensorflow

def run(world, _):
    world.all_or_raise(lambda: prepare_tensorflow(world))
    import keras
    keeps = keras.config
    print(json.dumps([keeps.backend(), keeps.floatx(), keeps.epsilon(), keeps.image_data_format(),
                      keeps.dtype_policy().name, keras.layers.Dense(1).dtype]))

import argparse, sys
sys.exit(command.run("hpcgan", lambda: argparse.Namespace(run=run)))
"""


def test_the_settings_of_keras_change_nothing(
    python, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_user = {
        "backend": "torch",
        "floatx": "float16",
        "image_data_format": "channels_first",
        "epsilon": 0.1,
    }
    (tmp_path / "keras.json").write_text(json.dumps(of_user))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    done = python("-c", _PREPARE)
    assert done.returncode == 0, done.stderr
    expected = ["tensorflow", "float32", 1e-7, "channels_last", "float32", "float32"]
    assert json.loads(done.stdout) == expected


def test_python_without_docstrings_is_refused_in_one_line(
    python, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    done = python("-c", _PREPARE)
    assert done.returncode == 1
    assert launching.only_line(done.stderr) == (
        "Python leaves out docstrings (PYTHONOPTIMIZE is 2, or -OO), without which TensorFlow "
        "cannot be imported: unset PYTHONOPTIMIZE"
    )


def test_a_tensorflow_that_cannot_be_imported_is_reported_in_one_line(
    python, tmp_path: Path
) -> None:
    (tmp_path / "tensorflow.py").write_text(
        "raise ImportError('/a.so: libb.so.1: cannot open\\nand more')\n"
    )
    done = python("-c", _PREPARE)
    assert done.returncode == 1
    assert launching.only_line(done.stderr) == (
        "tensorflow cannot be imported: ImportError: /a.so: libb.so.1: cannot open; "
        "try python -c 'import tensorflow'"
    )


_WITHOUT = """
import sys
from hpcgan.devices import prepare_tensorflow
from hpcgan.world import World

prepare_tensorflow(World())
unused = {"sklearn", "matplotlib", "pandas"}
assert "keras" in sys.modules and not unused & set(sys.modules), unused & set(sys.modules)
import matplotlib
"""


def test_what_keras_would_import_for_others_costs_a_rank_no_time(python) -> None:
    done = python("-c", _WITHOUT)
    assert done.returncode == 0, done.stderr
