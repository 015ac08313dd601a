"""A value's text in YAML or an option, read as what its key holds.

Whole numbers may be written 1000, 1e3, 1_000 and 0x3e8; true and false also yes, no, on and off;
null, where a key may be null, also ~, none and None; one value may stand for a list of one. What
means different things to different readers is refused: 010, 23:30, 0,5.
"""

from __future__ import annotations

import re
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import yaml

_LONGEST = 60  # characters of a value that an error shows
_LARGEST = 2**53  # with an exponent; floats beyond it are not all whole numbers

_WHOLE = re.compile(r"[-+]?(0|[1-9]\d*(_\d+)*|0x[0-9a-fA-F]+)", re.ASCII)
_NUMBER = re.compile(r"[-+]?((0|[1-9]\d*(_\d+)*)(\.\d*)?|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.?inf|\.?nan", re.IGNORECASE)  # the bounds refuse them
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_NULLS = ("", "~", "null", "Null", "NULL")
NONES = ("none", "None")  # mean null, too, where a key may be null

_WORDS = {str: ["text"], int: ["a whole number"], float: ["a number"], bool: ["true", "false"]}


class Unfit(Exception):
    """A value is not what its key holds: "7.5; it must be a whole number"."""


def read(node: yaml.Node, kind: Any) -> Any:
    """Return what a node holds.

    Args:
        node: of a value.
        kind: str, int, float, bool, Literal, a list of them, or a union of these and None.

    Raises:
        Unfit: it holds something else.
    """
    kinds = alternatives(kind)
    for each in kinds:
        for literal in get_args(each) if get_origin(each) is Literal else ():
            if isinstance(node, yaml.ScalarNode) and node.value == str(literal):
                return literal
    if is_null(node) or (NoneType in kinds and _is_plain(node) and node.value in NONES):
        if NoneType in kinds:
            return None
        raise Unfit("null; give it a value or leave it out")
    if is_list(kind):
        return _list(node, kinds[0])
    if isinstance(node, yaml.ScalarNode):
        for each in kinds:
            if (found := _scalar(node.value, each)) is not None:
                return found
    raise Unfit(f"{show(node)}; it must be {expected(kind)}{_hint(node, kinds)}")


def alternatives(kind: Any) -> tuple[Any, ...]:
    """Return the types of a union; of another type, itself alone."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def expected(kind: Any) -> str:
    """Return in words what a value of a type may be."""
    words = []
    for each in alternatives(kind):
        if get_origin(each) is Literal:
            words += [str(literal) for literal in get_args(each)]
        elif each is not NoneType:
            words += _WORDS.get(each, ["a list"])
    words += ["null"] if NoneType in alternatives(kind) else []
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def is_list(kind: Any) -> bool:
    """Return whether a type is a list, or a list or None."""
    return get_origin(alternatives(kind)[0]) is list


def is_null(node: yaml.Node) -> bool:
    """Return whether a node is YAML's null."""
    return _is_plain(node) and node.value in _NULLS


def show(node: yaml.Node) -> str:
    """Return a node's text in one short line."""
    if not isinstance(node, yaml.ScalarNode):
        text = " ".join(yaml.serialize(node).split())
    else:
        text = node.value if node.value and node.value.isprintable() else repr(node.value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _is_plain(node: yaml.Node) -> bool:
    """Return whether a node is text without quotes."""
    return isinstance(node, yaml.ScalarNode) and not node.style


def _list(node: yaml.Node, kind: Any) -> list[Any]:
    """Return the values of a list, or of one value in the place of a list."""
    (inner,) = get_args(kind)
    if isinstance(node, yaml.SequenceNode):
        return [read(each, inner) for each in node.value]
    try:
        return [read(node, inner)]
    except Unfit:
        one = expected(inner)
        raise Unfit(f"{show(node)}; it must be a list, [A, B], and each of it {one}") from None


def _scalar(text: str, kind: Any) -> Any:
    """Return what a text means as a str, int, float or bool; None if nothing."""
    if kind is str:
        return text
    text = text.strip()
    if kind is bool:
        return _BOOLEANS.get(text.lower())
    if kind is int:
        return _whole(text)
    if kind is float and _NUMBER.fullmatch(text):
        return float(text)
    if kind is float and _NOT_FINITE.fullmatch(text):
        return float(text.replace(".", ""))
    return None


def _whole(text: str) -> int | None:
    """Return a whole number, which may have an exponent; None if it is none."""
    if _WHOLE.fullmatch(text):
        try:
            return int(text, 16 if "x" in text else 10)
        except ValueError:  # thousands of digits
            return None
    number = float(text) if _NUMBER.fullmatch(text) else 0.5
    return int(number) if number.is_integer() and abs(number) < _LARGEST else None


def _hint(node: yaml.Node, kinds: tuple[Any, ...]) -> str:
    """Return how to write what was likely meant in the place of a number; "" for no idea."""
    if not {int, float} & set(kinds) or not isinstance(node, yaml.ScalarNode):
        return ""
    text = node.value.strip()
    if re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+", text, re.ASCII) and not text.startswith("0"):
        return f"; write {text.replace(',', '')}, or {text.replace(',', '.', 1)} if that is meant"
    if re.fullmatch(r"[-+]?\d+,\d+(e[-+]?\d+)?", text, re.ASCII | re.IGNORECASE):
        return f"; write {text.replace(',', '.')}, with a point"
    if re.fullmatch(r"[-+]?0+\d+[\d.]*", text, re.ASCII):
        return f"; write {re.sub('0+', '', text, count=1)}: a 0 before it means octal to some"
    if re.fullmatch(r"\d+(:\d+)+", text, re.ASCII):
        return "; write a time as one number, in the key's unit (hpcgan train --help)"
    if re.fullmatch(r"[-+]?\d[\d.]*\s*[^\W\d_]+", text, re.ASCII):
        return "; write the number alone, in the key's unit (hpcgan train --help)"
    return ""
