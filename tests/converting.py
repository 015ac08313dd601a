"""Conversions of many sources at once, from one process and from several, and refused ones."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import launching
import pytest

from data_tools import cli

_ALL = """
import json, sys
from data_tools.cli import main
for words in json.loads(sys.argv[1]):
    status = main(words)
    if status:
        sys.exit(status)
"""


def convert_all(place: Path, cases: dict[str, list[str]], into: str, ranks: int | None) -> dict:
    """Convert sources to INTO/NAME.h5, in chunks of 2, and return by name what is said."""
    (place / into).mkdir()
    commands = [
        ["convert", words[0], f"{into}/{name}.h5", "--chunk", "2", *words[1:]]
        for name, words in cases.items()
    ]
    done = launching.run(place, "-c", _ALL, json.dumps(commands), ranks=ranks, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(zip(cases, re.split("\n(?! )", done.stdout.rstrip("\n")), strict=True))


def refusal(capsys: pytest.CaptureFixture[str], *words: object, status: int = 2) -> str:
    """Return what a conversion says that must fail: one line, and nothing is left."""
    before = sorted(Path.cwd().rglob("*"))
    hook = sys.excepthook
    assert cli.main(["convert", *map(str, words)]) == status
    sys.excepthook = hook
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert sorted(Path.cwd().rglob("*")) == before
    return said.err.removeprefix("hpcgan-data: ").rstrip("\n")


def conversion(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Return what a conversion says that must succeed."""
    hook = sys.excepthook
    assert cli.main(["convert", *map(str, words)]) == 0
    sys.excepthook = hook
    return capsys.readouterr().out
