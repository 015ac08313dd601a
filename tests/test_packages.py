"""Versions of packages, and why one cannot be imported: from files made for it."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from hpcgan import packages


def test_a_version_is_found_under_another_distribution_s_name_or_told_by_the_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("packed", "loose"):
        (tmp_path / f"{name}.py").write_text("__version__ = '3.4'\n")
    distribution = tmp_path / "packed_cpu-1.2.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: packed-cpu\nVersion: 1.2\n"
    )
    (distribution / "top_level.txt").write_text("packed\n")
    assert packages.version_of("packed") == "1.2"
    assert packages.version_of("loose") == "unknown"
    importlib.import_module("loose")
    assert packages.version_of("loose") == "3.4"
    assert packages.version_of("missing") == "none"


def test_a_package_that_is_there_and_broken_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "broken.py").write_text(
        "raise ImportError('libb.so.1: cannot open shared object file\\nand more')\n"
    )
    (tmp_path / "lacking.py").write_text("import not_there_either\n")
    assert packages.problem("json") == ""
    assert packages.problem("not_there") == "is not installed"
    assert packages.problem("broken") == (
        "cannot be imported: ImportError: libb.so.1: cannot open shared object file"
    )
    assert packages.problem("lacking") == (
        "cannot be imported: ModuleNotFoundError: No module named 'not_there_either'"
    )
