"""``hpcgan-data convert`` of many sources: in one process, and in three of one mpirun."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import launching
import numpy as np
import pytest

from data_tools import cli


@dataclass
class Case:
    """A source's words on the command line, what its file must hold and what must be said.

    ``attributes`` are those of "images", and "classes" of the labels; None for any.
    """

    words: str
    images: np.ndarray
    labels: np.ndarray | None = None
    said: tuple[str, ...] = ()
    attributes: dict[str, Any] | None = field(default_factory=dict)


_ALL = """
import json, sys
from data_tools.cli import main
for words in json.loads(sys.argv[1]):
    status = main(words)
    if status:
        sys.exit(status)
"""


@dataclass
class Converted:
    """Sources that were converted by one process and by three."""

    place: Path
    cases: dict[str, Case]
    said: dict[str, str]

    def check(self, name: str) -> None:
        """Check a source's file, value by value, and that three ranks write the same bytes."""
        case = self.cases[name]
        one, three = (self.place / ranks / f"{name}.h5" for ranks in ("one", "three"))
        with h5py.File(one) as file:
            np.testing.assert_array_equal(file["images"][:], case.images, strict=True)
            assert ("labels" in file) is (case.labels is not None)
            found = dict(file["images"].attrs)
            if case.labels is not None:
                np.testing.assert_array_equal(file["labels"][:], case.labels, strict=True)
                found |= {key: list(value) for key, value in file["labels"].attrs.items()}
            if case.attributes is not None:
                expected = dict(case.attributes)
                if "--layout" in case.words:  # a run need not ask again
                    expected["layout"] = "NHWC" if case.images.ndim == 4 else "NDHWC"
                assert found == expected
        assert one.read_bytes() == three.read_bytes()
        for line in case.said:
            assert f"\n  {line}" in self.said[name].replace(f"{name}/", ""), self.said[name]


def convert_all(place: Path, makers: dict[str, Callable[[Path], Case]]) -> Converted:
    """Make sources, each in a folder of its own that is named in its words, and convert them."""
    cases = {}
    for name, make in makers.items():
        (place / name).mkdir()
        cases[name] = make(place / name)
    said: dict[str, str] = {}
    for folder, ranks in {"one": None, "three": 3}.items():
        (place / folder).mkdir()
        commands = []
        for name, case in cases.items():
            source, *options = case.words.split()
            out = f"{folder}/{name}.h5"
            commands.append(["convert", f"{name}/{source}", out, "--chunk", "2", *options])
        done = launching.run(place, "-c", _ALL, json.dumps(commands), ranks=ranks, timeout=200)
        assert done.returncode == 0, done.stdout + done.stderr
        said = dict(zip(cases, re.split("\n(?! )", done.stdout.rstrip("\n")), strict=True))
    return Converted(place, cases, said)


def refusal(capsys: pytest.CaptureFixture[str], *words: object, status: int = 2) -> str:
    """Return what a conversion says that must fail: one line, and nothing is left."""
    before = sorted(Path.cwd().rglob("*"))
    hook = sys.excepthook
    assert cli.main(["convert", *map(str, words)]) == status
    sys.excepthook = hook
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    assert sorted(Path.cwd().rglob("*")) == before
    return said.err.removeprefix("hpcgan-data: ").rstrip("\n")


def conversion(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Return what a conversion says that must succeed."""
    hook = sys.excepthook
    assert cli.main(["convert", *map(str, words)]) == 0
    sys.excepthook = hook
    return capsys.readouterr().out
