"""A value of the configuration, read from YAML or an option as the type of its key wants it.

A text stays as it is written, whatever YAML takes it for: name: 1e3. True and false may also be
yes, no, on and off; null, where a key may be null, none and None; one value is a list of one.
"""

from __future__ import annotations

import re
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from yaml.constructor import SafeConstructor

from hpcgan import yaml_file
from hpcgan.config_keys import Key

_NONES = ("none", "None")
yaml_file.Dumper.add_implicit_resolver(yaml_file.NULL, re.compile(r"(none|None)\Z"), ["n", "N"])

_WORDS = {str: ["text"], int: ["a whole number"], float: ["a number"], bool: ["true", "false"]}


def read(node: yaml.Node, kind: Any) -> Any:
    """Return what a node holds for a key whose ``Key.type`` is ``kind``.

    Raises:
        ValueError: the value has another type.
    """
    kinds = _alternatives(kind)
    if is_list(kind) and isinstance(node, yaml.SequenceNode):
        return [read(item, *get_args(kinds[0])) for item in node.value]
    mappings = [each for each in kinds if get_origin(each) is dict]
    if mappings and isinstance(node, yaml.MappingNode):
        _, inner = get_args(mappings[0])
        return {name.value: read(value, inner) for name, value in node.value}
    if not isinstance(node, yaml.ScalarNode):
        raise ValueError
    text = node.value
    is_null = node.tag == yaml_file.NULL
    for literal in _literals(kinds):
        if text == str(literal):
            return literal
    if NoneType in kinds and (is_null or (text in _NONES and not node.style)):
        return None
    if is_list(kind) and not is_null:
        return [read(node, *get_args(kinds[0]))]
    if str in kinds and not is_null:
        return text
    if bool in kinds and text.lower() in SafeConstructor.bool_values:
        return SafeConstructor.bool_values[text.lower()]
    return _number(text, kinds)


def _number(text: str, kinds: tuple[Any, ...]) -> float:
    """Return the number that a text is, of a type that is among ``kinds``."""
    value = yaml_file.construct(yaml_file.scalar(text))
    if int in kinds and type(value) is int:  # true is an int, too
        return value
    if float in kinds and type(value) in (int, float):
        return float(value)
    raise ValueError


def wrong(node: yaml.Node, kind: Any) -> str:
    """Return what is wrong with a value: "1.5; it must be a whole number"."""
    kinds = _alternatives(kind)
    if node.tag == yaml_file.NULL and NoneType not in kinds:
        return "null; give it a value or leave it out"
    is_number = {int, float} & set(kinds) and isinstance(node, yaml.ScalarNode)
    hint = _hint(node.value.strip()) if is_number else ""
    return f"{yaml_file.show(node)}; it must be {_expected(kinds)}{hint}"


def allowed(key: Key) -> str:
    """Return in words what a key may hold: "a whole number or null, at least 1"."""
    return ", ".join(filter(None, [_expected(_alternatives(key.type)), str(key.bounds)]))


def is_list(kind: Any) -> bool:
    """Return whether a type is a list, or a list or None."""
    return get_origin(_alternatives(kind)[0]) is list


def is_mapping(kind: Any) -> bool:
    """Return whether a type is a mapping."""
    return get_origin(kind) is dict


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
    words += ["a mapping, {KEY: VALUE}" for kind in kinds if is_mapping(kind)]
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
