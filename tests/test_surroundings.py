"""The user's locale and names that are no text neither break nor change anything."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import launching
import pytest

T = TypeVar("T", bound=ast.AST)

ROOT = Path(__file__).parents[1]
# Modules and objects whose open() is not that of text.
_OTHER_OPEN = ("Image", "archive", "h5a", "held", "kind", "lmdb", "os", "tarfile")


def nodes(kind: type[T]) -> Iterator[tuple[str, T]]:
    """Yield what is of some kind in the program's source, with its place."""
    for package in ("hpcgan", "data_tools", "benchmarks"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, kind):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def is_text(call: ast.Call) -> bool:
    """Return whether a call reads or writes text, in an encoding that the locale may choose."""
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    words = [*call.args, *(each.value for each in call.keywords if each.arg == "mode")]
    if name == "open":
        of = function.value if isinstance(function, ast.Attribute) else None
        if getattr(of, "attr", getattr(of, "id", None)) in _OTHER_OPEN:
            return False
        modes = [each.value for each in words if isinstance(each, ast.Constant)]
        return not any("b" in str(mode) for mode in modes)
    is_in_text_mode = any(each.arg in ("text", "universal_newlines") for each in call.keywords)
    return name in ("read_text", "write_text") or is_in_text_mode


def test_no_text_is_read_or_written_in_the_encoding_of_the_locale() -> None:
    found = [(place, call) for place, call in nodes(ast.Call) if is_text(call)]
    assert len(found) > 20
    left = [place for place, call in found if "encoding" not in {k.arg for k in call.keywords}]
    assert left == []


def test_nothing_is_done_in_what_python_leaves_out_with_optimize() -> None:
    pure = {"isinstance", "len"}
    working = []
    for place, node in nodes(ast.Assert):
        calls = [each.func for each in ast.walk(node.test) if isinstance(each, ast.Call)]
        is_pure = all(isinstance(each, ast.Name) and each.id in pure for each in calls)
        # A bare attribute is a property more often than a truth.
        if not is_pure or isinstance(node.test, ast.Attribute):
            working.append(place)
    assert working == []


def test_a_run_where_names_are_no_text_in_a_locale_without_accents(
    python, tmp_path: Path, data_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = os.fsdecode(b"\xff\xe9")
    (tmp_path / odd).mkdir()
    shutil.move(data_file, tmp_path / odd / f"{odd}.h5")
    text = launching.CONFIG.replace("data.h5", "'*/*.h5'").replace("steps: 100", "steps: 2")
    (tmp_path / "c.yaml").write_text(text)
    for name, value in (("LC_ALL", "C"), ("PYTHONUTF8", "0"), ("PYTHONCOERCECLOCALE", "0")):
        monkeypatch.setenv(name, value)
    done = python("-m", "hpcgan", "train", "c.yaml", "--run-dir", f"{odd}/run")
    assert done.returncode == 0, done.stderr
    run_dir = tmp_path / odd / "run"
    assert sorted(each.name for each in (run_dir / "checkpoints").iterdir()) == [
        "step_00000000.h5",
        "step_00000002.h5",
    ]
    done = python("-m", "data_tools", "inspect", f"{odd}/{odd}.h5")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(r"\udcff\udce9/\udcff\udce9.h5:")


def test_a_launcher_whose_name_is_no_text_is_no_known_one() -> None:
    program = "from hpcgan.terminal import is_watched; print(is_watched())"
    line = 'printf "gr\\366\\337er" >/proc/$$/comm; "$@"; exit'  # the kernel cuts names, too
    done = subprocess.run(
        ["bash", "-c", line, "bash", sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("False\n", "")
