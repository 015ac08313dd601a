"""The configuration's file and options: read, check, compare and write them.

jsonargparse does the typing of keys and values; the bounds are checked here.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
from pathlib import Path
from typing import Any

import jsonargparse
import yaml

from hpcgan.config import CONDITIONS, Config, DataConfig
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

_DEEPEST = 8  # sections and lists in one another

_PRESETS = Path(__file__).parent / "presets"

# key: (smallest value, whether that value itself is allowed)
_BOUNDS: dict[str, tuple[float, bool]] = {
    "seed": (0, True),
    "data.shards": (1, True),
    "data.shuffle_chunks": (1, True),
    "data.threads": (1, True),
    "model.latent_dim": (1, True),
    "model.width": (1, True),
    "model.classes": (1, True),
    "loss.gradient_penalty": (0, True),
    "loss.r1": (0, True),
    "loss.label_smoothing": (0, True),
    "loss.auxiliary": (0, True),
    "optimizer.generator.learning_rate": (0, False),
    "optimizer.discriminator.learning_rate": (0, False),
    "optimizer.generator.beta_1": (0, True),
    "optimizer.generator.beta_2": (0, True),
    "optimizer.discriminator.beta_1": (0, True),
    "optimizer.discriminator.beta_2": (0, True),
    "optimizer.generator.clip_norm": (0, False),
    "optimizer.discriminator.clip_norm": (0, False),
    "optimizer.warmup_steps": (0, True),
    "train.steps": (1, True),
    "train.batch_size": (1, True),
    "train.discriminator_steps": (1, True),
    "train.accumulate": (1, True),
    "train.ema": (0, True),
    "checkpoint.every_steps": (1, True),
    "checkpoint.every_minutes": (0, False),
    "checkpoint.mtbf_hours": (0, False),
    "checkpoint.keep": (1, True),
    "checkpoint.keep_every": (1, True),
    "checkpoint.failures": (1, True),
    "log.every_steps": (1, True),
    "run.time_limit": (0, False),
    "watch.skips": (0, True),
    "watch.drift_steps": (1, True),
    "log.samples_every_steps": (1, True),
}

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
        content = yaml.safe_load(path.read_text())
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
    except (jsonargparse.ArgumentError, TypeError, ValueError) as error:
        raise ConfigError(_explain(_one_line(error), str(path))) from None
    config = Config(**{f.name: config[f.name] for f in dataclasses.fields(Config)})
    _check_values(config, f"{path} or command line" if overrides else str(path))
    return config


def presets() -> list[str]:
    """Return the names of the configurations that come with the package."""
    return sorted(path.stem for path in _PRESETS.glob("*.yaml"))


def _preset(name: str) -> Path | None:
    """Return the file of a preset, if ``name`` is one and no file."""
    is_preset = name in presets() and not Path(name).is_file()
    return _PRESETS / f"{name}.yaml" if is_preset else None


def from_yaml(text: str, origin: str) -> Config:
    """Read a configuration that ``to_yaml`` wrote; ``origin`` names it in errors.

    Raises:
        ConfigError: the text is no configuration.
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
    except (jsonargparse.ArgumentError, TypeError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{origin}: {_one_line(error)}") from None
    return Config(**{f.name: config[f.name] for f in dataclasses.fields(Config)})


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


def differences(old: Config, new: Config) -> list[str]:
    """Return "key: old -> new" for each key that differs and makes ``new`` another run."""
    before, after = _flat(dataclasses.asdict(old)), _flat(dataclasses.asdict(new))
    return [
        f"{key}: {before[key]} -> {after[key]}"
        for key in before
        if before[key] != after[key]
        and any(key == prefix or key.startswith(prefix + ".") for prefix in _DEFINING)
    ]


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


def _check_values(config: Config, origin: str) -> None:
    """Refuse values out of bounds and keys that contradict each other."""
    values = _flat(dataclasses.asdict(config))
    for key, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{origin}: {key} is {value}; it must be a finite number")
    for key, (smallest, inclusive) in _BOUNDS.items():
        value = values[key]
        if isinstance(value, str) or value is None:  # a word in the place of a number, as auto
            continue
        if not (value >= smallest if inclusive else value > smallest):
            bound = "at least" if inclusive else "greater than"
            raise ConfigError(f"{origin}: {key} is {value}; it must be {bound} {smallest}")
    for key, value in values.items():
        below_1 = key.endswith(("beta_1", "beta_2", "label_smoothing", "ema"))
        if below_1 and value is not None and value >= 1:
            raise ConfigError(f"{origin}: {key} is {value}; it must be less than 1")
    if config.seed >= 2**32:
        raise ConfigError(f"{origin}: seed is {config.seed}; it must be less than 2**32")
    if not config.data.files:
        raise ConfigError(f"{origin}: data.files is empty; name at least one HDF5 file")
    if config.data.partition == "balanced":
        if config.data.labels is None:
            raise ConfigError(
                f"{origin}: data.partition is balanced, which needs data.labels: name their dataset"
            )
        if config.data.align:
            raise ConfigError(
                f"{origin}: data.align is true, but data.partition: balanced divides samples, not "
                "chunks; leave data.align out"
            )
    if config.data.residency == "stream" and config.data.shuffle == "samples":
        raise ConfigError(
            f"{origin}: data.shuffle is samples, which reads them one by one when data.residency "
            "is stream; use chunks, or keep the data in memory"
        )
    if config.train.update == "simultaneous" and config.train.discriminator_steps != 1:
        raise ConfigError(
            f"{origin}: train.discriminator_steps is {config.train.discriminator_steps}, which "
            "needs train.update: alternating"
        )
    _check_game(config, origin)


def _check_game(config: Config, origin: str) -> None:
    """Refuse networks, losses and aids that contradict each other."""
    model, train = config.model, config.train
    if train.batch_size % train.accumulate:
        raise ConfigError(
            f"{origin}: train.accumulate is {train.accumulate}, which does not divide "
            f"train.batch_size, {train.batch_size}"
        )
    if len(set(train.augment)) < len(train.augment):
        raise ConfigError(f"{origin}: train.augment names something twice: {train.augment}")
    if model.condition != "none" and config.data.labels is None:
        raise ConfigError(
            f"{origin}: model.condition is {model.condition}, which needs data.labels: name their "
            "dataset"
        )
    for key, value in {"generator": model.generator, "discriminator": model.discriminator}.items():
        if value is not None and not re.fullmatch(r"[\w.]+:\w+", value):
            raise ConfigError(
                f"{origin}: model.{key} is '{value}'; it must be package.module:function"
            )
    own = model.generator is not None and model.discriminator is not None
    if not own and model.condition not in CONDITIONS[model.name]:
        raise ConfigError(
            f"{origin}: model.condition is {model.condition}; {model.name} can have "
            f"{', '.join(CONDITIONS[model.name])}"
        )
    if model.attention and model.name != "resnet":
        raise ConfigError(f"{origin}: model.attention is for model.name: resnet")
    if model.label_range is not None and len(model.label_range) != 2:
        raise ConfigError(f"{origin}: model.label_range is {model.label_range}; give two numbers")
    smoothed = ("non_saturating", "minimax", "least_squares")
    if config.loss.label_smoothing and config.loss.name not in smoothed:
        raise ConfigError(
            f"{origin}: loss.label_smoothing is for loss.name {', '.join(smoothed)}, and it is "
            f"{config.loss.name}"
        )
