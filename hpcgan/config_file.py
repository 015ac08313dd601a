"""The configuration's file and options: read, check, compare and write them.

``yaml_file`` reads YAML, ``config_values`` the values of keys, and ``config_checks`` checks them.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from hpcgan import yaml_file
from hpcgan.config import KEYS, REMOVED, Config
from hpcgan.config_checks import check_name, check_values
from hpcgan.config_keys import Key
from hpcgan.config_values import allowed, is_list, is_mapping, read, wrong
from hpcgan.errors import ConfigError
from hpcgan.files import expanded

_COMMAND_LINE = "command line"

Given = dict[str, tuple[str, yaml.Node]]  # by dotted key: where it is given, and what

_PRESETS = Path(__file__).parent / "presets"


def load(
    path: Path | str, overrides: list[str] | None = None, changes: Given | None = None
) -> Config:
    """Read a configuration from a YAML file, or the preset of that name.

    ``overrides`` are words of the command line, ``--section.key VALUE``; ``changes`` come last.

    Raises:
        ConfigError: the file is missing or is not YAML, or a key or value is wrong; the message
            names the key and, for an unknown one, the nearest that exists.
    """
    name = str(path)
    is_preset = name in presets() and not Path(name).is_file()
    path = _PRESETS / f"{name}.yaml" if is_preset else Path(expanded(name))
    hint = "" if path.suffix else f", nor preset: those are {', '.join(presets())}"
    given = sections(yaml_file.compose_file(path, f"config file{hint}"), str(path))
    given |= options(overrides or []) | (changes or {})
    config = _build(given, str(path))
    origins = dict.fromkeys([str(path), *([_COMMAND_LINE] if overrides else [])])
    origins |= dict.fromkeys(origin for origin, _ in (changes or {}).values())
    origin = " or ".join(origins)
    check_name(config.name, origin)
    check_values(config, origin)
    return config


def presets() -> list[str]:
    """Return the names of the configurations that come with the package."""
    return sorted(path.stem for path in _PRESETS.glob("*.yaml"))


def from_yaml(text: str, origin: str) -> Config:
    """Read a configuration that ``to_yaml`` wrote, of this or an earlier version.

    The text may come from others, in a checkpoint for example. ``origin`` names it in errors.

    Raises:
        ConfigError: the text is no configuration, or no run can have it.
    """
    node = yaml_file.compose(text, origin, aliases=False)
    config = _build(sections(node, origin, ignored=REMOVED), origin)
    check_values(config, origin)
    return config


def to_yaml(config: Config) -> str:
    """Return ``config`` as YAML text, with every key."""
    return yaml.dump(dataclasses.asdict(config), Dumper=yaml_file.Dumper, sort_keys=False)


def differences(old: Config, new: Config) -> dict[str, str]:
    """Return "key: old -> new" for each key that differs, by the key."""
    values = {key: (attrgetter(key)(old), attrgetter(key)(new)) for key in KEYS}
    return {key: f"{key}: {a} -> {b}" for key, (a, b) in values.items() if a != b}


def keys_help() -> str:
    """Return the help of all keys, as options."""
    return _parser().format_help()


@cache
def _parser() -> argparse.ArgumentParser:
    """Return what takes keys from the command line, as text."""
    parser = argparse.ArgumentParser(
        usage=argparse.SUPPRESS, add_help=False, allow_abbrev=False, exit_on_error=False
    )
    groups: dict[str, Any] = {}
    for name, key in KEYS.items():
        section = name.rpartition(".")[0]
        if section not in groups:
            groups[section] = parser.add_argument_group(section or "the run")
        default = f"; default: {key.written_default}" if key.written_default else ""
        about = f"{key.help} ({allowed(key)}{default})".replace("%", "%%")
        metavar = name.rpartition(".")[2].upper()
        groups[section].add_argument(
            f"--{name}", default=argparse.SUPPRESS, metavar=metavar, help=about
        )
    return parser


def options(words: list[str]) -> Given:
    """Return the values of words, ``--section.key VALUE``, by key; the last of one given twice.

    Values are text as it is, or in quotes; lists are in brackets.

    Raises:
        ConfigError: a key is unknown, a value is missing, or there are words that are no options.
    """
    try:
        found, rest = _parser().parse_known_args(words)
    except argparse.ArgumentError as error:
        raise ConfigError(
            f"{_COMMAND_LINE}: {error.argument_name} needs a value after it, or "
            f"{error.argument_name}=-X if it begins with a dash"
        ) from None
    given = {key: (_COMMAND_LINE, _option(text, KEYS[key])) for key, text in vars(found).items()}
    if rest:
        raise _superfluous(rest, given)
    return given


def _superfluous(words: list[str], given: Given) -> ConfigError:
    """Return the error for words that are no options."""
    key, _, _ = words[0].partition("=")
    if not key.startswith("--"):
        lists = [f"--{key}" for key in given if is_list(KEYS[key].type)]
        hint = f"give {lists[-1]} a list in brackets, [A,B]; " if lists else ""
        return ConfigError(f"{_COMMAND_LINE}: {hint}unrecognized arguments: {' '.join(words)}")
    if key[2:] in _sections():
        return ConfigError(f"{_COMMAND_LINE}: '{key[2:]}' is a section; name one of its keys, too")
    return _unknown(key[2:], _COMMAND_LINE)


def _option(text: str, key: Key) -> yaml.Node:
    """Return the value of an option."""
    is_structured = (is_list(key.type) and text.startswith("[")) or (
        is_mapping(key.type) and text.startswith("{")
    )
    if text[:1] in ("'", '"') or is_structured:
        return yaml_file.compose(text, _COMMAND_LINE)
    return yaml_file.scalar(text) if text else yaml.ScalarNode(yaml_file.STR, "", style="'")


def sections(
    node: yaml.Node, origin: str, prefix: str = "", ignored: tuple[str, ...] = ()
) -> Given:
    """Return the values of a mapping of sections, or of a section, by dotted key.

    Those of keys that are ``ignored`` are left out; ``origin`` names the mapping in errors, and
    ``prefix`` is of the section's keys.

    Raises:
        ConfigError: it is none, or a key is unknown or given twice.
    """
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{origin}: a config is a mapping of sections, such as 'data: ...'")
    given: Given = {}
    for name, value in node.value:
        key = f"{prefix}{name.value}"
        if key in ignored:
            continue
        if key in KEYS:
            found: Given = {key: (origin, value)}
        elif key not in _sections():
            raise _unknown(key, origin)
        elif isinstance(value, yaml.MappingNode):
            found = sections(value, origin, f"{key}.", ignored)
        else:
            held = "empty" if value.tag == yaml_file.NULL else yaml_file.show(value)
            raise ConfigError(f"{origin}: section '{key}' is {held}; it must hold keys")
        if twice := sorted(given.keys() & found):  # once dotted, once in its section
            raise ConfigError(f"{origin}: '{twice[0]}' is given twice; keep one")
        given |= found
    return given


def _sections() -> set[str]:
    """Return the dotted names of all sections."""
    return {key.rsplit(".", n)[0] for key in KEYS for n in range(1, key.count(".") + 1)}


def _unknown(key: str, origin: str) -> ConfigError:
    """Return the error for an unknown key, which names the nearest known one."""
    last = key.rsplit(".", 1)[-1]
    if last.isdecimal():  # {learning_rate: 0,0002}
        hint = "write numbers with a point, not a comma"
        return ConfigError(f"{origin}: unknown key '{key}'; {hint}")
    known = sorted({*KEYS, *_sections()})
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if not near:  # the right key in the wrong section
        near = [each for each in known if each.rsplit(".", 1)[-1] == last]
    hint = f"; the nearest known one is '{near[0]}'" if near else ""
    return ConfigError(f"{origin}: unknown key {key!a}{hint}")


def _build(given: Given, origin: str) -> Config:
    """Return the configuration of what is given; ``origin`` is where a missing key should be."""
    values = {}
    for name, (where, node) in given.items():
        try:
            values[name] = read(node, KEYS[name].type)
        except ValueError:
            raise ConfigError(f"{where}: {name} is {wrong(node, KEYS[name].type)}") from None
    for name, key in KEYS.items():
        if key.default is dataclasses.MISSING and name not in values:
            raise ConfigError(f"{origin}: key '{name}' is missing; it has no default")
    config: Config = _section(Config, values)
    return config


def _section(kind: type, values: dict[str, Any], prefix: str = "") -> Any:
    """Return a section of the values of its keys, by dotted name; defaults for the others."""
    found = {}
    for name, inner in get_type_hints(kind).items():
        key = f"{prefix}{name}"
        if key in values:
            found[name] = values[key]
        elif key not in KEYS:
            found[name] = _section(inner, values, f"{key}.")
    return kind(**found)
