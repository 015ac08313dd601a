"""A value of the configuration, read from YAML or an option as the type of its key wants it.

A text stays as it is written, whatever YAML takes it for: name: 1e3. True and false may also be
yes, no, on and off; null, where a key may be null, none and None; one value stands for a list of
one. jsonargparse, which reads texts again (010 is 10 and 23:30 is 1410), gets none for a number.
"""

from __future__ import annotations

import dataclasses
import re
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml
from yaml.constructor import SafeConstructor

from hpcgan import yaml_file
from hpcgan.config import Config

_NONES = ("none", "None")
yaml_file.Dumper.add_implicit_resolver(yaml_file.NULL, re.compile(r"(none|None)\Z"), ["n", "N"])

_WORDS = {str: ["text"], int: ["a whole number"], float: ["a number"], bool: ["true", "false"]}


@cache
def keys(section: type = Config, prefix: str = "") -> dict[str, Any]:
    """Return the type of each key of a section, and of those in it, by its dotted name."""
    found: dict[str, Any] = {}
    for name, kind in get_type_hints(section).items():
        is_section = dataclasses.is_dataclass(kind) and isinstance(kind, type)
        found |= keys(kind, f"{prefix}{name}.") if is_section else {f"{prefix}{name}": kind}
    return found


def read(node: yaml.Node, kind: Any) -> Any:
    """Return what a node holds for a key of a type; the node itself, which no type takes, if none.

    Args:
        node: of a value.
        kind: str, int, float, bool, Literal, a list of them, or a union of these and None.
    """
    kinds = _alternatives(kind)
    if is_list(kind) and isinstance(node, yaml.SequenceNode):
        return [read(item, *get_args(kinds[0])) for item in node.value]
    if not isinstance(node, yaml.ScalarNode):
        return node
    text = node.value
    is_null = node.tag == yaml_file.NULL
    if text in _literals(kinds):
        return text
    if NoneType in kinds and (is_null or (text in _NONES and not node.style)):
        return None
    if is_list(kind) and not is_null:
        return [read(node, *get_args(kinds[0]))]
    if str in kinds and not is_null:
        return _Null(text) if text.strip() == "null" else text
    if bool in kinds and text.lower() in SafeConstructor.bool_values:
        return SafeConstructor.bool_values[text.lower()]
    value = yaml_file.construct(yaml_file.scalar(text))
    # None means the default to jsonargparse, and a text it would read again: 010, 23:30
    return node if value is None or isinstance(value, str) else value


class _Null(str):
    """The text "null", in quotes: jsonargparse takes a plain str for null."""


yaml_file.Dumper.add_representer(_Null, yaml_file.Dumper.represent_str)


def wrong(node: yaml.Node, kind: Any) -> str:
    """Return what is wrong with a value: "1.5; it must be a whole number"."""
    kinds = _alternatives(kind)
    if node.tag == yaml_file.NULL and NoneType not in kinds:
        return "null; give it a value or leave it out"
    is_number = {int, float} & set(kinds) and isinstance(node, yaml.ScalarNode)
    hint = _hint(node.value.strip()) if is_number else ""
    return f"{yaml_file.show(node)}; it must be {_expected(kinds)}{hint}"


def is_list(kind: Any) -> bool:
    """Return whether a type is a list, or a list or None."""
    return get_origin(_alternatives(kind)[0]) is list


def _alternatives(kind: Any) -> tuple[Any, ...]:
    """Return the types of a union; of another type, itself alone."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _literals(kinds: tuple[Any, ...]) -> list[Any]:
    """Return the values that types name."""
    return [each for kind in kinds if get_origin(kind) is Literal for each in get_args(kind)]


def _expected(kinds: tuple[Any, ...]) -> str:
    """Return in words what a value may be."""
    words = [word for kind in kinds for word in _WORDS.get(kind, ())]
    words += [str(each) for each in _literals(kinds)]
    words += ["null"] if NoneType in kinds else []
    lists = [kind for kind in kinds if get_origin(kind) is list]
    words += [f"a list, [A, B], each {_expected(get_args(kind))}" for kind in lists]
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _hint(text: str) -> str:
    """Return how to write what was likely meant in the place of a number; "" for no idea."""
    if re.fullmatch(r"[-+]?[1-9]\d{0,2}(,\d{3})+", text, re.ASCII):
        return f"; write {text.replace(',', '')}, or {text.replace(',', '.', 1)} if that is meant"
    if re.fullmatch(r"[-+]?\d+,\d+(e[-+]?\d+)?", text, re.ASCII | re.IGNORECASE):
        return f"; write {text.replace(',', '.')}, with a point"
    if re.fullmatch(r"[-+]?0+\d+[\d.]*", text, re.ASCII):
        return f"; write {re.sub('0+', '', text, count=1)}: a 0 before it means octal to some"
    if re.fullmatch(r"\d+(:\d+)+|[-+]?\d[\d.]*\s*[^\W\d_]+", text, re.ASCII):
        return "; write one number, in the key's unit (hpcgan train --help)"
    return ""
