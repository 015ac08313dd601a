"""YAML, read as it is meant: the text of each value stays as it was written.

YAML 1.1 guesses types: no is false, 010 is 8, 23:30 is 1410, 2024-01-01 a date. Nothing is guessed
here: ``values`` reads a text as what its key holds. No key may stand twice.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from yaml.constructor import SafeConstructor

from hpcgan.errors import ConfigError
from hpcgan.files import check_is_file

_DEEPEST = 8  # sections and lists in one another

# What PyYAML says: what to do about it.
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


def read(path: Path, what: str) -> yaml.Node:
    """Return the content of a file.

    Args:
        path: of the file.
        what: the kind of file, for the message if there is none.

    Raises:
        ConfigError: it cannot be read, is no YAML or has a key twice.
    """
    check_is_file(path, what, ConfigError)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    return parse(content, str(path))


def parse(text: bytes | str, origin: str, aliases: bool = True) -> yaml.Node:
    """Return the nodes of a text; an empty text is an empty scalar.

    Args:
        text: bytes in UTF-8, or in UTF-16 with its mark.
        origin: names it in errors.
        aliases: whether it may have some, which may make it grow without bound.

    Raises:
        ConfigError: it is no YAML, has a key twice, or is what nobody needs: tags, aliases if they
            are not allowed, more levels than sections and lists have.
    """
    try:
        _check_plain(text, origin, aliases)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin}: not readable as YAML: {_explain(error)}") from None
    if node is None:
        return yaml.ScalarNode("tag:yaml.org,2002:null", "")
    _check_once(node, origin, set())
    return node


def pairs(node: yaml.MappingNode) -> dict[str, yaml.Node]:
    """Return the values of a mapping by key, with those that it merges (``<<``)."""
    SafeConstructor().flatten_mapping(node)  # puts them before its own
    return {key.value: value for key, value in node.value}


def _check_plain(text: bytes | str, origin: str, aliases: bool) -> None:
    """Refuse what is too deep, tags, and aliases if they are not allowed."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise ConfigError(f"{origin}: line {line} has more than {_DEEPEST} levels")
        if isinstance(event, yaml.AliasEvent) and not aliases:
            raise ConfigError(f"{origin}: line {line} has an alias, *{event.anchor}")
        if tag := getattr(event, "tag", None):
            tag = tag.replace("tag:yaml.org,2002:", "!!")
            raise ConfigError(
                f"{origin}: line {line} has a tag, {tag}, which has no meaning here; put quotes "
                "around a text that begins with !"
            )


def _check_once(node: yaml.Node, origin: str, seen: set[int]) -> None:
    """Refuse keys that are no words, or that a mapping has twice."""
    if id(node) in seen or isinstance(node, yaml.ScalarNode):
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for each in node.value:
            _check_once(each, origin, seen)
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError(f"{origin}: not readable as YAML: line {line}: a key must be a word")
        if key.value in lines:
            where = (
                f"lines {lines[key.value]} and {line}"
                if lines[key.value] < line
                else f"line {line}"
            )
            raise ConfigError(f"{origin}: '{key.value}' is given twice, in {where}; keep one")
        lines[key.value] = line
        _check_once(value, origin, seen)


def _explain(error: yaml.YAMLError) -> str:
    """Return PyYAML's message on one line, with what to do about it."""
    text = " ".join(str(error).split())
    hint = next((hint for words, hint in _HINTS.items() if words in text), "")
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        text = f"line {error.problem_mark.line + 1}: {(error.problem or '').removeprefix('but ')}"
    return f"{text}; {hint}" if hint else text
