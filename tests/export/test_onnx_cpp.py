"""The example in C++ makes the samples of the check file, and sees when they are others."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from hpcgan.export.export import Wanted, export
from tests.export.made import CLASSES, SHOWERS, checkpoint_at

EXAMPLE = Path(__file__).parents[2] / "examples" / "onnx_cpp"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the compiled example."""
    home = os.environ["ONNXRUNTIME_HOME"]
    out = tmp_path_factory.mktemp("onnx_cpp") / "generate"
    words = ["-std=c++17", "-Wall", "-Wextra", "-Werror", EXAMPLE / "generate.cpp", "-o", out]
    words += ["-I", f"{home}/include", "-L", f"{home}/lib", f"-Wl,-rpath,{home}/lib"]
    subprocess.run(["g++", *map(str, words), "-lonnxruntime"], check=True)
    return out


@pytest.mark.parametrize("model", [CLASSES, SHOWERS], ids=["classes", "two real labels"])
def test_the_example_reproduces_the_check_file(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model
) -> None:
    monkeypatch.setattr("hpcgan.export.export.prepare_tensorflow", lambda place: None)
    monkeypatch.setattr("hpcgan.export.formats.stay_on_the_processor", lambda: None)
    shape = (9, 8, 1) if model is CLASSES else (8, 9, 8, 1)
    found = checkpoint_at(tmp_path / "c.h5", model, shape)
    out = tmp_path / "g.onnx"
    export(Wanted(found.path, out, checked=False))
    check = Path(f"{out}.check.npz")

    def run() -> subprocess.CompletedProcess[str]:
        words = [program, out, check]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    done = run()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"samples: 16 x {np.prod(shape)}, largest difference ")
    with np.load(check) as arrays:
        changed = dict(arrays)
    changed["samples"][15, -1, -1] += 1
    np.savez(check, **changed)
    assert run().returncode == 1
    check.write_bytes(check.read_bytes()[:100])
    assert (run().returncode, "too early" in run().stderr) == (1, True)
