"""The configuration's file and options: read, check, compare and write them.

``yaml_file`` reads texts, jsonargparse types keys and values, ``config_checks`` does the rest.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import re
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any

import jsonargparse
import yaml

from hpcgan import yaml_file
from hpcgan.config import Config
from hpcgan.config_checks import check_name, check_values
from hpcgan.config_values import is_list, keys, read, wrong
from hpcgan.errors import ConfigError
from hpcgan.files import expanded

# Keys whose change makes another run of it: a checkpoint is not resumed under other values.
_DEFINING = (
    "seed",
    "data.images",
    "data.shards",
    "data.partition",
    "data.align",
    "data.uneven",
    "data.shuffle",
    "data.shuffle_chunks",
    "model",
    "loss",
    "optimizer",
    "train.batch_size",
    "train.update",
    "train.discriminator_steps",
    "train.accumulate",
    "train.ema",
    "train.augment",
    "train.precision",
    "parallel",
)

# Those of them that may change all the same, with --allow-change: what sets the learning rates.
_CHANGEABLE = (
    "optimizer.generator.learning_rate",
    "optimizer.discriminator.learning_rate",
    "optimizer.scaling",
    "optimizer.warmup_steps",
    "optimizer.decay",
)

# The loader of jsonargparse, for which all texts are read already.
_READ = "read"
jsonargparse.set_loader(_READ, lambda text: text)

_COMMAND_LINE = "command line"

Given = dict[str, tuple[str, yaml.Node]]  # by dotted key: where it is given, and what

_PRESETS = Path(__file__).parent / "presets"


def load(path: Path | str, overrides: list[str] | None = None) -> Config:
    """Read a configuration.

    Args:
        path: the YAML file, or the name of a preset.
        overrides: words of the command line, ``--section.key VALUE``, that go before the file.

    Raises:
        ConfigError: the file is missing or is not YAML, or a key or value is wrong; the message
            names the key and, for an unknown one, the nearest that exists.
    """
    path = _preset(str(path)) or Path(expanded(str(path)))
    hint = "" if path.suffix else f", nor preset: those are {', '.join(presets())}"
    given = _from_file(yaml_file.compose_file(path, f"config file{hint}"), str(path))
    given |= options(overrides or [])
    config = _build(given, str(path))
    origin = f"{path} or command line" if overrides else str(path)
    check_name(config.name, origin)
    check_values(config, origin)
    return config


def presets() -> list[str]:
    """Return the names of the configurations that come with the package."""
    return sorted(path.stem for path in _PRESETS.glob("*.yaml"))


def _preset(name: str) -> Path | None:
    """Return the file of a preset, if ``name`` is one and no file."""
    is_preset = name in presets() and not Path(name).is_file()
    return _PRESETS / f"{name}.yaml" if is_preset else None


def from_yaml(text: str, origin: str) -> Config:
    """Read a configuration that ``to_yaml`` wrote, or somebody else; ``origin`` names it in errors.

    Raises:
        ConfigError: the text is no configuration, or no run can have it.
    """
    config = _build(_from_file(yaml_file.compose(text, origin, aliases=False), origin), origin)
    check_values(config, origin)
    return config


def to_yaml(config: Config) -> str:
    """Return ``config`` as YAML text, with every key."""
    return yaml.dump(dataclasses.asdict(config), Dumper=yaml_file.Dumper, sort_keys=False)


def differences(old: Config, new: Config) -> dict[str, str]:
    """Return "key: old -> new" for each key that differs, by the key."""
    values = {key: (attrgetter(key)(old), attrgetter(key)(new)) for key in keys()}
    return {key: f"{key}: {a} -> {b}" for key, (a, b) in values.items() if a != b}


def is_defining(key: str) -> bool:
    """Return whether a run with another value of ``key`` is another run."""
    return any(key == prefix or key.startswith(prefix + ".") for prefix in _DEFINING)


def is_changeable(key: str) -> bool:
    """Return whether a run may go on with another value of ``key`` if the user says so."""
    return key in _CHANGEABLE


@cache
def _parser() -> jsonargparse.ArgumentParser:
    """Return what types the keys of a configuration."""
    parser = jsonargparse.ArgumentParser(
        prog="",
        usage=argparse.SUPPRESS,
        add_help=False,
        exit_on_error=False,
        parser_mode=_READ,
    )
    parser.add_class_arguments(Config, nested_key=None)
    return parser


def keys_help() -> str:
    """Return the help of all keys, as options."""
    text = re.sub(r"\n  --\S+ CONFIG\s+Path to a configuration file\.", "", _parser().format_help())
    return re.sub(r", --\S+\+ \S+", "", text)  # what extends a list


def options(words: list[str]) -> Given:
    """Return the values of words, ``--section.key VALUE``, by key; the last of one given twice.

    Values are text as it is, or in quotes; lists are in brackets.

    Raises:
        ConfigError: a key is unknown, a value is missing, or a word is too many.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for key in keys():
        parser.add_argument(f"--{key}", default=argparse.SUPPRESS)
    try:
        found, rest = parser.parse_known_args(words)
    except argparse.ArgumentError as error:
        raise ConfigError(
            f"{_COMMAND_LINE}: {error.argument_name} needs a value after it, or "
            f"{error.argument_name}=-X if it begins with a dash"
        ) from None
    given = {key: (_COMMAND_LINE, _option(text, keys()[key])) for key, text in vars(found).items()}
    if rest:
        raise _superfluous(rest, given)
    return given


def _superfluous(words: list[str], given: Given) -> ConfigError:
    """Return what tells of words that are no options."""
    key, _, _ = words[0].partition("=")
    if not key.startswith("--"):
        lists = [f"--{key}" for key in given if is_list(keys()[key])]
        hint = f"give {lists[-1]} a list in brackets, [A,B]; " if lists else ""
        return ConfigError(f"{_COMMAND_LINE}: {hint}unrecognized arguments: {' '.join(words)}")
    if key[2:] in _sections():
        return ConfigError(f"{_COMMAND_LINE}: '{key[2:]}' is a section; name one of its keys, too")
    return _unknown(key[2:], _COMMAND_LINE)


def _option(text: str, kind: Any) -> yaml.Node:
    """Return the value of an option."""
    if text[:1] in ("'", '"') or (is_list(kind) and text.startswith("[")):
        return yaml_file.compose(text, _COMMAND_LINE)
    return yaml_file.scalar(text) if text else yaml.ScalarNode(yaml_file.STR, "", style="'")


def _from_file(node: yaml.Node, origin: str, prefix: str = "") -> Given:
    """Return the values of a file, or of a section in it."""
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{origin}: a config is a mapping of sections, such as 'data: ...'")
    given: Given = {}
    for name, value in node.value:
        key = f"{prefix}{name.value}"
        if key in keys():
            found: Given = {key: (origin, value)}
        elif key not in _sections():
            raise _unknown(key, origin)
        elif isinstance(value, yaml.MappingNode):
            found = _from_file(value, origin, f"{key}.")
        else:
            held = "empty" if value.tag == yaml_file.NULL else yaml_file.show(value)
            raise ConfigError(f"{origin}: section '{key}' is {held}; it must hold keys")
        if twice := sorted(given.keys() & found):  # once dotted, once in its section
            raise ConfigError(f"{origin}: '{twice[0]}' is given twice; keep one")
        given |= found
    return given


def _sections() -> set[str]:
    """Return the dotted names of all sections."""
    return {key.rsplit(".", n)[0] for key in keys() for n in range(1, key.count(".") + 1)}


def _unknown(key: str, origin: str) -> ConfigError:
    """Return what tells of a key that there is not, and of the nearest known one."""
    last = key.rsplit(".", 1)[-1]
    if last.isdecimal():  # {learning_rate: 0,0002}
        hint = "write numbers with a point, not a comma"
        return ConfigError(f"{origin}: unknown key '{key}'; {hint}")
    known = sorted({*keys(), *_sections()})
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if not near:  # the right key in the wrong section
        near = [each for each in known if each.rsplit(".", 1)[-1] == last]
    hint = f"; the nearest known one is '{near[0]}'" if near else ""
    return ConfigError(f"{origin}: unknown key {key!a}{hint}")


def _build(given: Given, origin: str) -> Config:
    """Return the configuration of what is given; ``origin`` is told to lack what is missing."""
    values = {key: read(node, keys()[key]) for key, (_, node) in given.items()}
    try:
        config = _parser().instantiate(_parser().parse_object(values))
    except jsonargparse.ArgumentError as error:
        if found := re.match(r'Parser key "(\S+)"', error.message):
            where, node = given[found[1]]
            message = f"{where}: {found[1]} is {wrong(node, keys()[found[1]])}"
        elif found := re.search(r"arguments are required: (\S+)", error.message):
            message = f"{origin}: key '{found[1]}' is missing; it has no default"
        else:
            raise
        raise ConfigError(message) from None
    return Config(**{f.name: config[f.name] for f in dataclasses.fields(Config)})
