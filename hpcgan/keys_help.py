"""The help of a dataclass's keys, from its docstrings, types and defaults."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any, get_type_hints

from hpcgan import values

_WIDTH, _INDENT = 80, 24


def describe(record: type, section: str = "") -> Iterator[str]:
    """Yield the lines that tell of each key of a dataclass, and of the sections in it.

    Args:
        record: a dataclass, whose docstring has "Args:" with a text for each key.
        section: its dotted name; "" for that of all sections.
    """
    summary, _, arguments = (inspect.getdoc(record) or "").partition("\n\nArgs:\n")
    texts = dict(re.findall(r"^    (\w+): (.*?)(?=^    \w|\Z)", arguments, re.M | re.S))
    if not texts:  # docstrings are not there under PYTHONOPTIMIZE=2, but what stands in for them
        summary = ""
    kinds = get_type_hints(record)
    fields = dataclasses.fields(record)
    yield f"{section}: {summary}".strip(": ")
    for field in fields:
        kind = kinds[field.name]
        if not dataclasses.is_dataclass(kind):
            name = f"{section}.{field.name}" if section else field.name
            text = f"{texts.get(field.name, '')} ({values.expected(kind)}; {_default(field)})"
            yield from _option(name, " ".join(text.split()))
    for field in fields:
        kind = kinds[field.name]
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            yield ""
            yield from describe(kind, f"{section}.{field.name}" if section else field.name)


def _option(name: str, text: str) -> list[str]:
    """Return the lines of an option, as argparse lays them out."""
    head = f"  --{name}"
    lines = textwrap.wrap(text, _WIDTH - _INDENT, break_on_hyphens=False)
    if len(head) + 2 <= _INDENT:
        lines[0] = f"{head:{_INDENT}}{lines[0]}"
        return [lines[0], *(f"{'':{_INDENT}}{line}" for line in lines[1:])]
    return [head, *(f"{'':{_INDENT}}{line}" for line in lines)]


def _default(field: dataclasses.Field[Any]) -> str:
    """Return the default of a key, as a file would have it."""
    if field.default_factory is not dataclasses.MISSING:
        return f"default: {json.dumps(field.default_factory())}"
    if field.default is dataclasses.MISSING:
        return "required"
    value = field.default
    return f"default: {value if isinstance(value, str) else json.dumps(value)}"
