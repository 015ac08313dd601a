"""The configuration's file and options: read, check, compare and write them.

jsonargparse does the typing of keys and values; ``config_checks`` does the rest.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from pathlib import Path
from typing import Any

import jsonargparse
import yaml

from hpcgan.config import Config, DataConfig
from hpcgan.config_checks import check_values
from hpcgan.errors import ConfigError
from hpcgan.files import check_is_file

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

_DEEPEST = 8  # sections and lists in one another

# How PyYAML and jsonargparse refuse a text; OverflowError is for whole numbers beyond all floats.
_REFUSALS = (
    jsonargparse.ArgumentError,
    TypeError,
    ValueError,
    OverflowError,
    yaml.YAMLError,
)

_PRESETS = Path(__file__).parent / "presets"

# Keys that may be null though their default is not.
_NULLABLE = ("checkpoint.every_steps",)


def add_arguments(parser: jsonargparse.ArgumentParser) -> None:
    """Add every key of the configuration to ``parser`` as ``--section.key``."""
    parser.add_argument("--config", action="config", help=jsonargparse.SUPPRESS)
    parser.add_class_arguments(Config, nested_key=None)


def load(path: Path | str, overrides: list[str] | None = None) -> Config:
    """Read a configuration.

    Args:
        path: the YAML file, or the name of a preset.
        overrides: words of the command line, ``--section.key VALUE``, that go before the file.

    Raises:
        ConfigError: the file is missing or is not YAML, or a key or value is wrong; the message
            names the key and, for an unknown one, the nearest that exists.
    """
    path = _preset(str(path)) or Path(path)
    hint = "" if path.suffix else f", nor preset: those are {', '.join(presets())}"
    check_is_file(path, f"config file{hint}", ConfigError)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not readable as YAML: {_one_line(error)}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: a config is a mapping of sections, such as 'data: ...'")
    _check_keys(content, str(path))
    parser = jsonargparse.ArgumentParser(exit_on_error=False, allow_abbrev=False)
    add_arguments(parser)
    try:
        parsed = parser.parse_args([f"--config={path}", *(overrides or [])])
        config = parser.instantiate(parsed)
    except _REFUSALS as error:
        raise ConfigError(_explain(_one_line(error), str(path))) from None
    config = Config(**{f.name: config[f.name] for f in dataclasses.fields(Config)})
    check_values(config, f"{path} or command line" if overrides else str(path))
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
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Config, nested_key=None)
    try:
        _check_plain(text)
        content = yaml.safe_load(text)
        if not isinstance(content, dict):
            raise ConfigError(f"{origin}: its configuration is not a mapping of sections")
        # jsonargparse would take text in the place of a section for the path of a file to read.
        _check_keys(content, origin)
        config = parser.instantiate(parser.parse_object(content))
    except _REFUSALS as error:
        raise ConfigError(f"{origin}: {_one_line(error)}") from None
    config = Config(**{f.name: config[f.name] for f in dataclasses.fields(Config)})
    check_values(config, origin)
    return config


def _check_plain(text: str) -> None:
    """Refuse YAML that ``to_yaml`` never makes and that may grow without bound when it is read.

    Raises:
        ValueError: it has aliases, or is deeper than sections and lists are.
    """
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent) or depth > _DEEPEST:
            raise ValueError("its configuration holds aliases or is too deep")


def to_yaml(config: Config) -> str:
    """Return ``config`` as YAML text, with every key."""
    return yaml.dump(dataclasses.asdict(config), Dumper=_Dumper, sort_keys=False)


class _Dumper(yaml.SafeDumper):
    """Quotes text that jsonargparse reads as a number and PyYAML does not, such as 1e3."""


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def differences(old: Config, new: Config) -> dict[str, str]:
    """Return "key: old -> new" for each key that differs, by the key."""
    before, after = _flat(dataclasses.asdict(old)), _flat(dataclasses.asdict(new))
    return {
        key: f"{key}: {before[key]} -> {after[key]}" for key in before if before[key] != after[key]
    }


def is_defining(key: str) -> bool:
    """Return whether a run with another value of ``key`` is another run."""
    return any(key == prefix or key.startswith(prefix + ".") for prefix in _DEFINING)


def is_changeable(key: str) -> bool:
    """Return whether a run may go on with another value of ``key`` if the user says so."""
    return key in _CHANGEABLE


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested sections as one mapping of dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _defaults() -> dict[str, Any]:
    """Return the default of every key, by its dotted name."""
    return _flat(dataclasses.asdict(Config(data=DataConfig(files=[]))))


def _known_keys() -> list[str]:
    """Return every key and section name, dotted."""
    keys = list(_defaults())
    sections = {key.rsplit(".", n)[0] for key in keys for n in range(1, key.count(".") + 1)}
    return sorted({*keys, *sections})


def _nearest(key: str) -> str:
    """Return a hint that names the known key nearest to ``key``."""
    known = _known_keys()
    found = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if not found:  # the right key in the wrong section
        last = key.rsplit(".", 1)[-1]
        found = [each for each in known if each.rsplit(".", 1)[-1] == last]
    return f"; the nearest known one is '{found[0]}'" if found else ""


def _check_keys(content: dict[str, Any], origin: str, section: str = "") -> None:
    """Refuse keys that no section has, sections that hold none, and null for a value."""
    defaults = _defaults()
    for name, value in content.items():
        key = f"{section}{name}"
        if key not in _known_keys():
            raise ConfigError(f"{origin}: unknown key '{key}'{_nearest(key)}")
        if isinstance(value, dict):
            _check_keys(value, origin, f"{key}.")
        elif key not in defaults:
            held = "empty" if value is None else value
            raise ConfigError(f"{origin}: section '{key}' is {held}; it must hold keys")
        elif value is None and defaults[key] is not None and key not in _NULLABLE:
            raise ConfigError(f"{origin}: {key} is null; give it a value or leave it out")


def _explain(message: str, origin: str) -> str:
    """Return jsonargparse's message in the words of a config file."""
    unknown = re.search(r"unrecognized arguments: --([\w.]+)", message, re.IGNORECASE)
    if unknown:
        return f"command line: unknown key '{unknown[1]}'{_nearest(unknown[1])}"
    missing = re.search(r"arguments are required: ([\w.]+)", message)
    if missing:
        return f"{origin}: key '{missing[1]}' is missing; it has no default"
    message = re.sub(r"an? <class '(\w+)'>", r"\1", message)
    message = re.sub(r"a typing\.Literal\[(.*?)\]", r"one of \1", message)
    return f"{origin} or command line: {message.replace('Parser key', 'key')}"


def _one_line(error: Exception) -> str:
    """Return an error's text on one line."""
    return re.sub(r"\s+", " ", str(error)).strip()
