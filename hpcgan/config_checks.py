"""What the values of a configuration may be, beyond their types: bounds, and what fits together.

A checkpoint holds a configuration, too, and may come from somebody else: nothing here may take
for granted that a command of hpcgan has let it pass before.
"""

from __future__ import annotations

import math
import re
from operator import attrgetter

from hpcgan.config import CONDITIONS, Config
from hpcgan.errors import ConfigError

# Every key that is a number: (smallest value, whether that value itself is allowed)
_SMALLEST: dict[str, tuple[float, bool]] = {
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
    "run.stall_seconds": (5, True),
    "run.restarts": (0, True),
    "watch.skips": (0, True),
    "watch.rollbacks": (0, True),
    "watch.drift_steps": (1, True),
    "log.samples_every_steps": (1, True),
}

# Far beyond any use: what a mistake, or the checkpoint of somebody else, cannot make a run take.
_LARGEST = {
    "data.shards": 1_000_000,
    "data.shuffle_chunks": 100_000,
    "data.threads": 1_000,
    "model.latent_dim": 10_000,
    "model.width": 2_000,
    "model.classes": 1_000_000,
    "train.batch_size": 100_000,
    "train.discriminator_steps": 1_000,
    "train.accumulate": 100_000,
    "run.restarts": 10_000,
}

# key: (what it must be less than, and how that is written)
_BELOW = {
    "seed": (2**32, "2**32"),
    "loss.label_smoothing": (1, "1"),
    "optimizer.generator.beta_1": (1, "1"),
    "optimizer.generator.beta_2": (1, "1"),
    "optimizer.discriminator.beta_1": (1, "1"),
    "optimizer.discriminator.beta_2": (1, "1"),
    "train.ema": (1, "1"),
}


# Bytes of a name: a file's has 255 at most, and NAME.12 or NAME-JOB.out are made of it.
_LONGEST_NAME = 200


def check_name(name: str, origin: str) -> None:
    """Refuse a run's name that cannot be that of its directory and its job.

    Those of other people's checkpoints name nothing and may be any.

    Args:
        name: of a run to start.
        origin: names the configuration in the error.

    Raises:
        ConfigError: it cannot be.
    """
    good = re.fullmatch(r"[^\s.-](.*\S)?", name) and not set("/\\'\"") & set(name)
    if not good or not name.isprintable() or len(name.encode()) > _LONGEST_NAME:
        raise ConfigError(
            f"{origin}: name is {name!r}; it must be the name of a directory: printable, at most "
            f"{_LONGEST_NAME} bytes, without slashes and quotes, no dot or dash first, no space "
            "first or last"
        )


def check_values(config: Config, origin: str) -> None:
    """Refuse values out of bounds and keys that contradict each other.

    Args:
        config: whose values have the right types.
        origin: names it in the error.

    Raises:
        ConfigError: a value is wrong; one line, which names its key.
    """
    for key in _SMALLEST:
        value = attrgetter(key)(config)
        # None, or a word in the place of a number, as auto.
        if isinstance(value, (int, float)) and (bound := _broken_bound(key, value)):
            raise ConfigError(f"{origin}: {key} is {value}; it must be {bound}")
    _check_data(config, origin)
    _check_game(config, origin)


def _broken_bound(key: str, value: float) -> str:
    """Return the bound that the value of a key breaks, in words; "" for none."""
    if isinstance(value, float) and not math.isfinite(value):  # an int may be too large for it
        return "a finite number"
    smallest, inclusive = _SMALLEST[key]
    if not (value >= smallest if inclusive else value > smallest):
        return f"{'at least' if inclusive else 'greater than'} {smallest}"
    if key in _LARGEST and value > _LARGEST[key]:
        return f"at most {_LARGEST[key]}"
    if key in _BELOW and value >= _BELOW[key][0]:
        return f"less than {_BELOW[key][1]}"
    return ""


def _check_data(config: Config, origin: str) -> None:
    """Refuse data that cannot be divided, shuffled or used as the configuration says."""
    data = config.data
    if not data.files:
        raise ConfigError(f"{origin}: data.files is empty; name at least one HDF5 file")
    if data.partition == "balanced":
        if data.labels is None:
            raise ConfigError(
                f"{origin}: data.partition is balanced, which needs data.labels: name their dataset"
            )
        if data.align:
            raise ConfigError(
                f"{origin}: data.align is true, but data.partition: balanced divides samples, not "
                "chunks; leave data.align out"
            )
    if data.residency == "stream" and data.shuffle == "samples":
        raise ConfigError(
            f"{origin}: data.shuffle is samples, which reads them one by one when data.residency "
            "is stream; use chunks, or keep the data in memory"
        )


def _check_game(config: Config, origin: str) -> None:
    """Refuse networks, losses and aids that contradict each other."""
    model, train = config.model, config.train
    if train.update == "simultaneous" and train.discriminator_steps != 1:
        raise ConfigError(
            f"{origin}: train.discriminator_steps is {train.discriminator_steps}, which "
            "needs train.update: alternating"
        )
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
