"""Dataclasses from YAML and options.

A dataclass is a section and its fields are keys; a field that is a dataclass is a section in it,
whose keys are dotted: ``optimizer.generator.learning_rate``. Types decide how values are read.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, TypeVar, get_type_hints

import yaml

from hpcgan import values
from hpcgan.errors import ConfigError
from hpcgan.yaml_file import pairs, parse

Record = TypeVar("Record")
Nodes = Mapping[str, yaml.Node]  # by dotted key

_COMMAND_LINE = "command line"


def build(record: type[Record], *sources: tuple[str, Nodes]) -> Record:
    """Return a dataclass of what sources give; what none gives has its default.

    Args:
        record: the dataclass.
        sources: the name, for errors, and the values of each; later ones go before earlier ones.

    Raises:
        ConfigError: a value is not what its key holds, or a key without a default is missing.
    """
    kinds: dict[str, Any] = keys(record)  # type: ignore[arg-type]
    found: dict[str, Any] = {}
    for origin, nodes in sources:
        for key, node in nodes.items():
            try:
                found[key] = values.read(node, kinds[key])
            except values.Unfit as unfit:
                raise ConfigError(f"{origin}: {key} is {unfit}") from None
    return _build(record, found, sources[0][0], "")


def from_file(record: type, node: yaml.Node, origin: str) -> Nodes:
    """Return the values of a file.

    Raises:
        ConfigError: it is no mapping; a key is unknown (the nearest known one is named) or given
            twice; something else is in the place of a section.
    """
    if not isinstance(node, yaml.MappingNode):
        example = dataclasses.fields(record)[0].name
        raise ConfigError(f"{origin}: a config is a mapping of sections, such as '{example}: ...'")
    found: dict[str, yaml.Node] = {}
    for key, value in _leaves(record, node, origin, ""):
        if key in found:  # once dotted, once in its section
            raise ConfigError(f"{origin}: '{key}' is given twice; keep one")
        found[key] = value
    return found


def from_words(record: type, words: list[str]) -> Nodes:
    """Return the values of options, ``--section.key VALUE`` or ``--section.key=VALUE``.

    Where a key is given twice, the last one counts. Values are text as it is, or in quotes; lists
    are in brackets.

    Raises:
        ConfigError: a key is unknown, a value is missing, or a word is too many.
    """
    found: dict[str, yaml.Node] = {}
    rest, key = list(words), ""
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            listed = found and values.is_list(keys(record)[key])
            hint = f"give --{key} a list in brackets, [A,B]; " if listed else ""
            raise ConfigError(f"{_COMMAND_LINE}: {hint}unrecognized arguments: {word}")
        key, equals, text = word[2:].partition("=")
        _check_known(record, key, _COMMAND_LINE)
        if key not in keys(record):
            raise ConfigError(f"{_COMMAND_LINE}: '{key}' is a section; name one of its keys, too")
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise ConfigError(f"{_COMMAND_LINE}: --{key} needs a value after it")
            text = rest.pop(0)
        found[key] = _node(text, values.is_list(keys(record)[key]), f"{_COMMAND_LINE}: --{key}")
    return found


@cache
def keys(record: type) -> dict[str, Any]:
    """Return the type of each key of a dataclass and of those in it, by its dotted name."""
    found: dict[str, Any] = {}
    for name, kind in get_type_hints(record).items():
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            found |= {f"{name}.{inner}": each for inner, each in keys(kind).items()}
        else:
            found[name] = kind
    return found


def _build(record: type[Record], found: dict[str, Any], origin: str, prefix: str) -> Record:
    """Return the dataclass with its values, and the sections in it."""
    given = {}
    kinds = get_type_hints(record)
    for field in dataclasses.fields(record):  # type: ignore[arg-type]
        key, kind = f"{prefix}{field.name}", kinds[field.name]
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            given[field.name] = _build(kind, found, origin, f"{key}.")
        elif key in found:
            given[field.name] = found[key]
        elif field.default is field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{origin}: key '{key}' is missing; it has no default")
    return record(**given)


def _leaves(
    record: type, node: yaml.MappingNode, origin: str, prefix: str
) -> Iterator[tuple[str, yaml.Node]]:
    """Yield the dotted keys of a section, and their values."""
    for name, value in pairs(node).items():
        key = f"{prefix}{name}"
        _check_known(record, key, origin)
        if key in keys(record):
            yield key, value
        elif isinstance(value, yaml.MappingNode):
            yield from _leaves(record, value, origin, f"{key}.")
        else:
            held = "empty" if values.is_null(value) else values.show(value)
            raise ConfigError(f"{origin}: section '{key}' is {held}; it must hold keys")


def _check_known(record: type, key: str, origin: str) -> None:
    """Refuse what is the name of no key and no section."""
    sections = {each.rsplit(".", n)[0] for each in keys(record) for n in range(each.count(".") + 1)}
    if key in sections:  # keys are in it, too
        return
    last = key.rsplit(".", 1)[-1]
    if last.isdecimal():  # {learning_rate: 0,0002}
        raise ConfigError(f"{origin}: unknown key '{key}'; write numbers with a point, not a comma")
    near = difflib.get_close_matches(key, sorted(sections), n=1, cutoff=0.5)
    if not near:  # the right key in the wrong section
        near = [each for each in sorted(sections) if each.rsplit(".", 1)[-1] == last]
    hint = f"; the nearest known one is '{near[0]}'" if near else ""
    raise ConfigError(f"{origin}: unknown key {key!a}{hint}")


def _node(text: str, is_list: bool, origin: str) -> yaml.Node:
    """Return the value of an option as that of a file would be."""
    if text[:1] in ("'", '"') or (is_list and text.startswith("[")):
        return parse(text, origin)
    return yaml.ScalarNode("tag:yaml.org,2002:str", text, style=None if text else "'")
