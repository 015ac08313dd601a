"""The configuration's file and options: read, compare and write them.

``sections`` does the typing of keys and values; ``config_checks`` does the rest.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import yaml

from hpcgan import sections, yaml_file
from hpcgan.config import Config
from hpcgan.config_checks import check_name, check_values
from hpcgan.files import expanded
from hpcgan.values import NONES

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
    node = yaml_file.read(path, f"config file{hint}")
    given = sections.from_file(Config, node, str(path))
    options = sections.from_words(Config, overrides or [])
    config = sections.build(Config, (str(path), given), ("command line", options))
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
    node = yaml_file.parse(text, origin, aliases=False)
    config = sections.build(Config, (origin, sections.from_file(Config, node, origin)))
    check_values(config, origin)
    return config


def to_yaml(config: Config) -> str:
    """Return ``config`` as YAML text, with every key."""
    return yaml.dump(dataclasses.asdict(config), Dumper=_Dumper, sort_keys=False)


class _Dumper(yaml.SafeDumper):
    """Quotes the texts that would be read as null."""


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(f"({'|'.join(NONES)})$"), ["n", "N"]
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
