"""Checks of a configuration beyond types: bounds, which are in ``config``, and across keys.

A checkpoint holds a configuration, too, and may come from others: nothing here may assume that
hpcgan has checked it before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from operator import attrgetter

from hpcgan import varied
from hpcgan.config import KEYS, Config
from hpcgan.errors import ConfigError

# The conditions that each family of networks can have; a user's own may have any.
_CONDITIONS = {
    "mlp": ("none",),
    "dcgan": ("none", "projection", "auxiliary"),
    "resnet": ("none", "projection", "auxiliary"),
    "volume": ("none", "regression"),
}

# Bytes of a name: a file's has 255 at most, and NAME.12 or NAME-JOB.out are made of it.
_LONGEST_NAME = 200


def check_name(name: str, origin: str) -> None:
    """Raise a ConfigError for a run's name that cannot be that of its directory and its job.

    ``origin`` names the configuration. The names in others' checkpoints are not used, and may be
    any.
    """
    good = re.fullmatch(r"[^\s.-](.*\S)?", name) and not set("/\\'\"") & set(name)
    if not good or not name.isprintable() or len(name.encode()) > _LONGEST_NAME:
        raise ConfigError(
            f"{origin}: name is {name!r}; it must be the name of a directory: printable, at most "
            f"{_LONGEST_NAME} bytes, without slashes and quotes, no dot or dash first, no space "
            "first or last"
        )


def check_values(config: Config, origin: str) -> None:
    """Raise a ConfigError for a value out of bounds, or keys that contradict each other.

    The values have the right types. ``origin`` names the configuration.
    """
    checks = (
        _beyond_bounds,
        _wrong_data,
        _wrong_training,
        _wrong_parallel,
        _wrong_population,
        varied.wrong,
    )
    for check in checks:
        for wrong in check(config):
            raise ConfigError(f"{origin}: {wrong}")


def _beyond_bounds(config: Config) -> Iterator[str]:
    """Say which numbers are out of the bounds of their keys."""
    for name, key in KEYS.items():
        value = attrgetter(name)(config)
        for number in value if isinstance(value, list) else [value]:
            # None, or text where a number may be too, such as auto, has no bounds.
            if isinstance(number, int | float) and (bound := key.bounds.broken(number)):
                yield f"{name} is {number}; it must be {bound}"


def _wrong_data(config: Config) -> Iterator[str]:
    """Say what of the data cannot be divided, shuffled or used as the configuration says."""
    data = config.data
    if not data.files:
        yield "data.files is empty; name at least one HDF5 file"
    if data.part is not None and not (len(data.part) == 2 and 0 <= data.part[0] < data.part[1]):
        yield f"data.part is {data.part}; give which part and of how many, such as [0, 4]"
    if data.partition == "balanced" and data.labels is None:
        yield "data.partition is balanced, which needs data.labels: name their dataset"
    if data.partition == "balanced" and data.align:
        yield (
            "data.align is true, but data.partition: balanced divides samples, not chunks; leave "
            "data.align out"
        )
    if data.residency == "stream" and data.shuffle == "samples":
        yield (
            "data.shuffle is samples, which reads them one by one when data.residency is stream; "
            "use chunks, or keep the data in memory"
        )


def _wrong_training(config: Config) -> Iterator[str]:
    """Say which networks, losses and training steps contradict each other."""
    model, train = config.model, config.train
    if train.update == "simultaneous" and train.discriminator_steps != 1:
        yield (
            f"train.discriminator_steps is {train.discriminator_steps}, which needs train.update: "
            "alternating"
        )
    if train.batch_size % train.accumulate:
        yield (
            f"train.accumulate is {train.accumulate}, which does not divide train.batch_size, "
            f"{train.batch_size}"
        )
    if len(set(train.augment)) < len(train.augment):
        yield f"train.augment names something twice: {train.augment}"
    if train.ema is not None and train.ema_images is not None:
        yield f"train.ema is {train.ema}, and train.ema_images {train.ema_images}; leave one out"
    if train.ema_ramp is not None and train.ema_images is None:
        yield f"train.ema_ramp is {train.ema_ramp}, which is for train.ema_images"
    yield from wrong_scaling(config)
    if model.condition != "none" and config.data.labels is None:
        yield f"model.condition is {model.condition}, which needs data.labels: name their dataset"
    for key, value in {"generator": model.generator, "discriminator": model.discriminator}.items():
        if value is not None and not re.fullmatch(r"[\w.]+:\w+", value):
            yield f"model.{key} is '{value}'; it must be package.module:function"
    own = model.generator is not None and model.discriminator is not None
    if not own and model.condition not in _CONDITIONS[model.name]:
        yield (
            f"model.condition is {model.condition}; {model.name} can have "
            f"{', '.join(_CONDITIONS[model.name])}"
        )
    if model.attention and model.name != "resnet":
        yield "model.attention is for model.name: resnet"
    if model.label_range is not None and (len(model.label_range) % 2 or not model.label_range):
        yield f"model.label_range is {model.label_range}; give two numbers, of K values 2K"
    smoothed = ("non_saturating", "minimax", "least_squares")
    if config.loss.label_smoothing and config.loss.name not in smoothed:
        yield (
            f"loss.label_smoothing is for loss.name {', '.join(smoothed)}, and it is "
            f"{config.loss.name}"
        )


def wrong_scaling(config: Config) -> Iterator[str]:
    """Say where optimizer.scaling: sde cannot be used."""
    optimizer, shards = config.optimizer, config.data.shards or 1
    if optimizer.scaling != "sde":
        return
    for name, own in (
        ("generator", optimizer.generator),
        ("discriminator", optimizer.discriminator),
    ):
        if own.name != "adam":
            yield f"optimizer.scaling is sde, which is for adam, and {name}'s is {own.name}"
        elif shards * (1 - own.beta_2) >= 1:
            yield (
                f"optimizer.scaling is sde: with {shards} shards (data.shards) {name}'s beta_2 "
                f"{own.beta_2:g} becomes {1 - shards * (1 - own.beta_2):.4g}, and has to be above "
                "0; use fewer shards, a larger beta_2, or another scaling"
            )


def _wrong_parallel(config: Config) -> Iterator[str]:
    """Say which ways of training contradict each other."""
    train, parallel, shards = config.train, config.parallel, config.data.shards
    is_split, several = parallel.mode == "split", train.discriminators > 1
    if is_split and several:
        yield (
            f"train.discriminators is {train.discriminators}, and parallel.mode is split, which "
            "trains one; use synchronous, or one discriminator"
        )
    if parallel.generator_ranks is not None and not is_split:
        yield f"parallel.generator_ranks is {parallel.generator_ranks}, which is for mode: split"
    if several and shards is not None and shards % train.discriminators:
        yield (
            f"train.discriminators is {train.discriminators}, which does not divide data.shards, "
            f"{shards}"
        )
    if train.precision == "mixed_float16" and (is_split or several):
        yield (
            "train.precision is mixed_float16, whose losses have one scale for all networks; with "
            "parallel.mode: split or several discriminators use mixed_bfloat16"
        )
    if several and config.model.normalisation == "synchronised":
        yield (
            "model.normalisation is synchronised, which is for one discriminator: several see "
            "generated batches of their own; use batch"
        )
    if several and config.parallel.compression != "none":
        yield (
            f"parallel.compression is {parallel.compression}, which is for one discriminator; use "
            "none"
        )


def _wrong_population(config: Config) -> Iterator[str]:
    """Say what of populations and tournaments contradicts each other."""
    members, own, tournament = config.parallel.population, config.population, config.tournament
    if own.data == "divided" and members == 1:
        yield "population.data is divided, which is for several members: parallel.population is 1"
    if own.data == "divided" and config.data.part is not None:
        yield f"population.data is divided, and data.part {config.data.part}; leave out one of them"
    if tournament.every is not None and members == 1:
        yield (
            f"tournament.every is {tournament.every}, and parallel.population 1: a tournament is "
            "between members"
        )
    if tournament.judge == "discriminator" and tournament.select == "truncation":
        yield (
            "tournament.judge is discriminator, which compares two generators; for truncation, "
            "which sorts all, use frechet"
        )
