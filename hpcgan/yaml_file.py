"""YAML files as people mean them: the core schema of YAML 1.2, without tags.

PyYAML reads YAML 1.1: no is false, 010 is 8, 23:30 is 1410, 2024-01-01 a date, 1e3 a text. Here
the first four are texts, and 1e3 is 1000. A key that is given twice is refused.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from hpcgan.errors import ConfigError
from hpcgan.files import check_is_file

STR, NULL, BOOL, INT, FLOAT, MERGE = (
    f"tag:yaml.org,2002:{name}" for name in ("str", "null", "bool", "int", "float", "merge")
)

_LONGEST = 60  # characters that are shown of a value
_DEEPEST = 8  # levels of sections and lists
_LARGEST = 2**53  # floats beyond it are not all whole numbers

# Part of PyYAML's message: what to do about it.
_HINTS = {
    "'\\t' that cannot start": "indent with spaces, not with tabs",
    "cannot start any token": "put quotes around a text that begins so",
    "scanning an alias": "put quotes around a text that begins with *",
    "undefined alias": "put quotes around a text that begins with *",
    "scanning an anchor": "put quotes around a text that begins with &",
    "expected ',' or": "close the bracket, or put quotes around a text with brackets in it",
    "mapping values are not allowed": "look at the indentation, or put quotes around a text with "
    "': ' in it",
    "found another document": "a file holds one document: take '---' and what follows away",
}


class Loader(yaml.SafeLoader):
    """Refuses tags, keys given twice and, on request, aliases; guesses less than PyYAML's."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, text: bytes | str, aliases: bool = True) -> None:
        """Begin to read a text, bytes in UTF-8, or in UTF-16 with its mark.

        ``aliases`` says whether it may have any, which can make it grow without bound.
        """
        super().__init__(text)
        self._aliases = aliases
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse a node that is too deep, has a tag, or is an alias that is not allowed."""
        event = self.peek_event()
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent) and not self._aliases:
            raise ConfigError(f"line {line} has an alias, *{event.anchor}")
        if tag := getattr(event, "tag", None):
            tag = tag.replace("tag:yaml.org,2002:", "!!")
            raise ConfigError(
                f"line {line} has a tag, {tag}, which has no meaning here; put quotes around a "
                "text that begins with !"
            )
        is_collection = isinstance(event, yaml.CollectionStartEvent)
        self._depth += is_collection
        if self._depth > _DEEPEST:
            raise ConfigError(f"line {line} has more than {_DEEPEST} levels")
        node = super().compose_node(parent, index)
        self._depth -= is_collection
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Refuse keys that are no words, or given twice; put what is merged (<<) first."""
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(
                    problem="a key must be a word", problem_mark=node.start_mark
                )
            if key.value in lines:
                first = lines[key.value]
                where = f"lines {first} and {line}" if first < line else f"line {line}"
                raise ConfigError(f"'{key.value}' is given twice, in {where}; keep one")
            lines[key.value] = line
        self.flatten_mapping(node)
        node.value = list({key.value: (key, value) for key, value in node.value}.values())
        return node


def _number(loader: Loader, node: yaml.ScalarNode) -> float:
    """Return a number; a whole one, such as 1e3, is an integer, which a float key takes too."""
    number = loader.construct_yaml_float(node)
    return int(number) if number.is_integer() and abs(number) < _LARGEST else number


_WHOLE = r"0|[1-9][0-9]*(_[0-9]+)*"
_MEANINGS = (  # tag, form, first characters
    (NULL, "~|null|Null|NULL|", ["~", "n", "N", ""]),
    (BOOL, "true|True|TRUE|false|False|FALSE", list("tTfF")),
    # 300 digits are in reach of floats; more are a float, which is infinite
    (INT, rf"[-+]?(?!.{{301}})({_WHOLE})|0x[0-9a-fA-F]{{1,16}}", list("-+0123456789")),
    (
        FLOAT,
        rf"[-+]?(({_WHOLE})(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)"
        r"|\.(nan|NaN|NAN)",
        list("-+0123456789."),
    ),
    (MERGE, "<<", ["<"]),
)


class Dumper(yaml.SafeDumper):
    """Quotes the texts that this loader or PyYAML's would take for something else."""


for _tag, _form, _first in _MEANINGS:
    for _kind in (Loader, Dumper):
        _kind.add_implicit_resolver(_tag, re.compile(rf"({_form})\Z"), _first)
Loader.add_constructor(FLOAT, _number)
Loader.add_constructor(MERGE, lambda _, node: node.value)  # where it is no key


def read(path: Path, what: str) -> Any:
    """Return what a file holds, read by ``compose_file``: dicts, lists, texts, numbers, ..."""
    return construct(compose_file(path, what))


def compose_file(path: Path, what: str) -> yaml.Node:
    """Return the nodes of a file; ``what`` is its kind, for the message if there is none.

    Raises:
        ConfigError: it cannot be read, or as for ``compose``.
    """
    check_is_file(path, what, ConfigError)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    return compose(content, str(path))


def compose(text: bytes | str, origin: str, aliases: bool = True) -> yaml.Node:
    """Return the nodes of a text, with the tag of what each means; an empty text is null.

    The arguments are those of ``Loader``, and ``origin``, which names the text in errors.

    Raises:
        ConfigError: it is no YAML, has a key twice, tags, aliases if they are not allowed, or more
            levels than sections and lists have.
    """
    try:
        return Loader(text, aliases).get_single_node() or scalar("")
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin}: not readable as YAML: {_explain(error)}") from None
    except ConfigError as error:
        raise ConfigError(f"{origin}: {error}") from None


def scalar(text: str) -> yaml.ScalarNode:
    """Return the node of a text without quotes, with the tag of what it means."""
    tag = Loader("").resolve(yaml.ScalarNode, text, (True, False))
    return yaml.ScalarNode(tag, text)


def construct(node: yaml.Node) -> Any:
    """Return what a node holds."""
    return Loader("").construct_document(node)


def show(node: yaml.Node) -> str:
    """Return a node's text in one short line."""
    if not isinstance(node, yaml.ScalarNode):
        text = " ".join(yaml.serialize(node).split())
    else:
        text = node.value if node.value and node.value.isprintable() else repr(node.value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _explain(error: yaml.YAMLError) -> str:
    """Return PyYAML's message on one line, with what to do about it."""
    text = " ".join(str(error).split())
    hint = next((hint for words, hint in _HINTS.items() if words in text), "")
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        text = f"line {error.problem_mark.line + 1}: {(error.problem or '').removeprefix('but ')}"
    return f"{text}; {hint}" if hint else text
