"""Tests know of other modules what is public there, so that those may change inside."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
_PRIVATE = re.compile(r"_[a-z]\w*", re.IGNORECASE)
# Of Python itself, and for all.
_PUBLIC = ("_exit", "_fields", "_replace", "_asdict")
_PATH = re.compile(r"(hpcgan|data_tools)[\w.]*\._\w+")  # as a test would name it to replace it


def _others(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and name of what a module takes from another and is private there."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Attribute):
            is_own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            names = [] if is_own else [node.attr]
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Call) and _last(node.func) in ("setattr", "delattr", "getattr"):
            names = [each.value for each in node.args[1:2] if isinstance(each, ast.Constant)]
        elif isinstance(node, ast.Constant) and _PATH.fullmatch(str(node.value)):
            names = [str(node.value).rpartition(".")[2]]
        for name in names:
            if _PRIVATE.fullmatch(str(name)) and name not in _PUBLIC:
                yield node.lineno, str(name)


def _last(function: ast.expr) -> str:
    return getattr(function, "attr", getattr(function, "id", ""))


def test_nothing_private_of_another_module_is_touched() -> None:
    found = [
        f"{path.relative_to(TESTS)}:{line}: {name}"
        for path in sorted(TESTS.rglob("*.py"))
        for line, name in _others(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


def test_each_way_to_touch_it_is_seen() -> None:
    text = """
from a import _b, c
x._d, self._e, c.__name__
p.setattr(c, "_f", 1)
p.setattr("hpcgan.a._g", 1)
"""
    assert sorted(_others(ast.parse(text))) == [(2, "_b"), (3, "_d"), (4, "_f"), (5, "_g")]
